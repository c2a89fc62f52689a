/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What unlock.c (volumes, the question), unlock_key.c (one key) and unlock_try.c
 * (secrets on keyslots) share. */
#ifndef GK_LUKS_UNLOCK_STATE_H
#define GK_LUKS_UNLOCK_STATE_H

#include "luks/unlock.h"

/* Whether a token's credential is on a key. */
enum gk_fit {
	FIT_UNKNOWN,
	FIT_NO,
	FIT_YES,
	FIT_MAYBE,	/* the key does not say without its PIN */
	FIT_FAILED,	/* its secret opens nothing */
};

enum gk_ukey_state {
	KEY_ABSENT,
	KEY_OPENING,	/* its socket does not take us yet; again soon */
	KEY_LOOKING,	/* LOOK is asked */
	KEY_FINDING,	/* FIND is asked */
	KEY_RESTING,	/* nothing to do with it now */
	KEY_COUNTING,	/* RETRIES is asked */
	KEY_PIN,	/* its PIN is wanted from the person */
	KEY_SECRET,	/* SECRET is asked */
	KEY_TRYING,	/* its secret is on the keyslots, or waits for that */
	KEY_PAUSED,	/* not touched, or put aside: Enter begins again */
	KEY_SPENT,	/* until it is plugged in again */
};

struct gk_ukey {
	enum gk_ukey_state state;
	struct gk_unlock *u;
	char port[GK_KEYS_PORT];
	char socket[128];
	struct gk_key_link *link;
	struct gk_timer again;
	uint64_t came_at, asked_at, touch_at, secret_at;
	uint32_t flags;			/* enum gk_key_flag */
	int retries;
	uint8_t fit[GK_VOLUMES][GK_VOLUME_TOKENS];	/* enum gk_fit */
	unsigned volume, token;		/* what it is at */
	unsigned volume_id;		/* the volume's id then */
	int up;				/* touch: the key wants it, the token is silent */
	int pin_asked;			/* PIN: the same */
	int without_pin;		/* this token once more, without the PIN */
	int used_pin;			/* in the request that is out */
	int pin_right;			/* the key has taken it */
	int told_touch;
	int broke_off;			/* was it pulled? not known yet */
	int began_anew;
	int touches, busy;
	char pin[GK_KEY_PIN_MAX + 1];	/* "": none */
	char secret[GK_SECRET_BASE64 + 1];
	int secret_ready;		/* waits for its attempt */
};

enum gk_uvolume_state {
	VOLUME_FREE,
	VOLUME_PENDING,
	VOLUME_FAILED,	/* its secret was right and it did not open */
};

struct gk_uvolume {
	enum gk_uvolume_state state;
	unsigned id;
	struct gk_volume v;
	gk_unlock_done *done;
	void *ctx;
	uint64_t added_at;
	unsigned cached;	/* of the cache, tried */
};

/* What opened a volume may open another that comes later. */
struct gk_ucache {
	int is_key;
	struct gk_token token;		/* of a key's secret */
	char text[GK_PASSPHRASE + 1];
	size_t len;
};

enum gk_uquestion {
	ASK_NOTHING,
	ASK_PASSPHRASE,
	ASK_PIN,
};

enum gk_usource {
	FROM_NOBODY,
	FROM_PERSON,
	FROM_KEY,
	FROM_CACHE,
};

struct gk_unlock {
	struct gk_loop *loop;
	struct gk_prompt *prompt;
	struct gk_keys keys;
	struct gk_ukey key[GK_KEYS];
	struct gk_uvolume volume[GK_VOLUMES];
	unsigned next_id;

	enum gk_uquestion asked;
	unsigned asked_key;
	uint64_t asked_came;		/* that key's came_at */
	int asked_over;			/* a PIN question in another's place */
	uint64_t asked_at;
	int questions_failed;
	int flaps;
	int wrong;
	struct gk_timer idle, grace, ask_again, try_soon;

	/* The attempt that runs, and the text that waits for it. */
	enum gk_usource source;
	unsigned source_key, source_cache;
	uint64_t source_came;			/* the key's came_at then */
	struct gk_token source_token;
	uint64_t attempt_at;
	unsigned attempt_id[GK_VOLUMES];	/* the volumes' ids then */
	char running[GK_PASSPHRASE + 1];
	size_t running_len;
	char typed[GK_PASSPHRASE + 1];
	size_t typed_len;
	int typed_ready, typed_for_pin;
	int running_for_pin;
	struct gk_ucache cache[GK_UNLOCK_CACHE];
	unsigned cached;
};

/* unlock.c */
int gk_unlock_pending(const struct gk_unlock *u);
void gk_unlock_question(struct gk_unlock *u);
/* Keys that are being recognised get so long before the passphrase is asked for. */
void gk_unlock_grace(struct gk_unlock *u, unsigned ms);
void gk_unlock_finish(struct gk_unlock *u, unsigned volume, struct gk_unlock_how *how);
void gk_unlock_end_all(struct gk_unlock *u, enum gk_unlock_end end);
/* fmt is English, for the log, and looked up for the screen. */
__attribute__((format(printf, 2, 3)))
void gk_unlock_tell(struct gk_unlock *u, const char *fmt, ...);

/* unlock_key.c */
void gk_ukey_came(struct gk_ukey *k, const char *port, const char *socket);
void gk_ukey_went(struct gk_ukey *k);
/* What to do with it next, when it has nothing to do. */
void gk_ukey_next(struct gk_ukey *k);
/* A PIN was typed: to be sent. "": the person wants another way. */
void gk_ukey_pin(struct gk_ukey *k, const char *pin, size_t len);
/* Its PIN cannot be asked for now: a message, and Enter. */
void gk_ukey_put_aside(struct gk_ukey *k);
/* Enter: what was put aside begins again. */
void gk_ukey_again(struct gk_ukey *k);
/* Its secret was tried; 0: it opened a volume, else as of gk_volume_open(). */
void gk_ukey_tried(struct gk_ukey *k, int result);
/* Lets go of it, as nothing is to be opened; gk_ukey_resume() begins anew. */
void gk_ukey_release(struct gk_ukey *k);
void gk_ukey_resume(struct gk_ukey *k);
/* Whether it is not known yet what it is. */
int gk_ukey_is_new(const struct gk_ukey *k);
/* A volume's slot is free: nothing is said of it any more, and a key that was at
 * it begins anew, as what it answers would be for another. */
void gk_ukey_forget(struct gk_ukey *k, unsigned volume);

/* unlock_try.c */
void gk_utry_next(struct gk_unlock *u);
/* Whether the cache holds the secret of this token; then it is being tried. */
int gk_utry_cached(const struct gk_unlock *u, const struct gk_token *t);

#endif
