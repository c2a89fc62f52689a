/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dom0's view of one link session: which frames of the gate are in order, and
 * what it has told us of. Pure state, no I/O; used by dom0's link reader (which
 * closes the link on any error) and again by gatekeeperd (which does not rely
 * on the reader having done so).
 */
#ifndef GK_SESSION_H
#define GK_SESSION_H

#include "link.h"

struct gk_session_device {
	uint32_t id;		/* 0: free slot */
	uint32_t generation;
	struct gk_link_device info;
	uint8_t down[32];	/* bitmap of key codes 0..255 that are down */
};

struct gk_session {
	uint8_t nonce[GK_LINK_NONCE];
	uint8_t open;		/* the gate has answered our HELLO */
	uint8_t quiescing;	/* QUIESCE was sent */
	uint8_t quiesced;	/* and answered: nothing more may come but PING, LOG */
	uint32_t last_generation;	/* generations only go up */
	struct gk_session_device dev[GK_LINK_DEVICES];
	/* Flood bound: frames in the current window. */
	uint64_t window_start_ms;
	uint32_t window_keys;
	uint32_t window_fido;
	uint32_t window_frames;
};

enum {
	GK_SESSION_WINDOW_MS = 1000,
	/*
	 * A 1 kHz keyboard that toggles six keys every report would make
	 * 6,000 key changes a second; people stay below 100.
	 */
	GK_SESSION_KEYS = 8000,		/* KEY frames a window */
	/* A key at full speed makes at most 1,000 packets a second, and one
	 * that is in use a tenth of it. */
	GK_SESSION_FIDO = 4000,		/* FIDO frames a window */
	GK_SESSION_FRAMES = 14000,	/* frames of all types a window */
};

void gk_session_init(struct gk_session *s, const uint8_t nonce[GK_LINK_NONCE]);

/*
 * gk_session_frame: one decoded frame from the gate, at now_ms (monotonic).
 * Returns 0: act on it; 1: drop it silently (left over from an older session,
 * before the answer to our HELLO; or a key event that changes nothing: up when
 * it is up, down when it is down); or an error: close the link.
 * DEVICE fills a slot (same id again with a higher generation replaces it,
 * keys cleared); GONE frees it; KEY needs an admitted keyboard in its slot with
 * the same generation, FIDO one that is admitted as that, else GK_ERR_ORDER.
 * A replacing DEVICE or GONE leaves to
 * the caller what it must release: read s->dev[].down BEFORE calling, or use
 * gk_session_find() first.
 */
int gk_session_frame(struct gk_session *s, const struct gk_frame *f,
		     uint64_t now_ms) GK_MUST_CHECK;

/* gk_session_quiesce: note that QUIESCE was sent. */
void gk_session_quiesce(struct gk_session *s);

/* gk_session_find: the slot of a device id, or NULL. Owned by s. */
struct gk_session_device *gk_session_find(struct gk_session *s, uint32_t id);

/* gk_session_key_down: whether any device other than id `but` (0: none
 * excepted) has this key down. The virtual keyboard is one; a key is up only
 * when nobody holds it. */
int gk_session_key_down(const struct gk_session *s, uint16_t code, uint32_t but);

#endif
