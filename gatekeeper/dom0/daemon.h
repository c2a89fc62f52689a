/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gatekeeperd's state: one struct, and which file does what to it.
 *   domain.c       the gate domain's life: create, connect, lost, again
 *   link_client.c  the link reader process and its packets
 *   devices.c      what a frame of the gate means: keys, lights, messages
 *   keyboards.c    which keyboards count
 *   input_proxy.c  keyboards that another domain's input proxy feeds
 *   fido.c         security keys: sockets and HID devices
 *   handover*.c    the handoff's machine: its events, its work, its record
 *   agent.c        the link to the USB domain's agent, until it is the link
 *   continuity.c   are the devices those that were there before
 *   owners.c       who has the controllers, for the status and before a domain is ended
 *   target.c       the watch on the domain that is to have the controllers
 *   free.c         the watch on controllers that were released
 *   sleep.c        before and after a suspend of the machine
 *   control.c      the control socket
 *   fallback.c     dom0-hid
 *   prompt.c       what is said when a passphrase is asked for
 */
#ifndef GK_DOM0_DAEMON_H
#define GK_DOM0_DAEMON_H

#include <stdint.h>
#include <sys/types.h>

#include "core/policy.h"
#include "core/session.h"
#include "dom0/agent.h"
#include "dom0/continuity.h"
#include "dom0/controllers.h"
#include "dom0/events.h"
#include "dom0/fido.h"
#include "dom0/gate_config.h"
#include "dom0/gate_rules.h"
#include "dom0/input_proxy.h"
#include "dom0/keyboard.h"
#include "dom0/keyboards.h"
#include "dom0/loop.h"
#include "dom0/options.h"
#include "dom0/screen.h"
#include "dom0/status.h"
#include "dom0/xs.h"
#include "handoff/machine.h"
#include "handoff/record.h"
#include "handoff/steps.h"
#include "handoff/truth.h"

enum {
	GK_XS_PROBE_MS = 3000,
	GK_XS_PATIENCE_MS = 10000,	/* for xenstored to answer at all */
	GK_XL_CREATE_MS = 60000,
	GK_XL_DESTROY_MS = 20000,
	GK_SERVER_S = 30,		/* a new gate's vchan server */
	GK_RECONNECT_S = 10,		/* that of one that runs already */
	GK_HELLO_MS = 20000,		/* after that, until its HELLO */
	/* The link reader is asked every PING ms, through the gate, and counts as
	 * hung when so many of these pass without an answer: longer than its own
	 * bounds on the gate and on us, so that it can say which it was. */
	GK_READER_PING_MS = 2000,
	GK_READER_MISSES = 5,
	GK_READER_END_MS = 2000,	/* from the end of its socket to its own */
	GK_BACKOFF_MS = 500,
	GK_QUIESCE_MS = 5000,
	GK_RESTARTS_KEPT = 32,
	GK_CLIENTS = 8,
	GK_CLIENT_OUT = GK_STATUS_MAX + 1024,
	GK_REQUEST_MAX = 1024,
	/* Of the domains that own PCI devices, and of the controllers' owners. */
	GK_FOUND_MAX = 8192,
};

/* What to do when a gate has been destroyed. */
enum gk_after_destroy {
	GK_AFTER_RESTART,	/* start it again, if it may */
	GK_AFTER_START,		/* start it; not its fault */
	GK_AFTER_GIVE_UP,
	GK_AFTER_EXIT,
};

struct gk_client {
	int fd;			/* -1: free */
	struct gk_daemon *d;
	char in[GK_REQUEST_MAX];
	size_t in_len;
	char out[GK_CLIENT_OUT];
	size_t out_len;
	int answered;		/* nothing more to read */
	int wants_status;	/* and gets it when it is known who has them */
	int done;		/* close when out is empty */
	struct gk_timer deadline;
};

/* The work of the handoff that is done in a child. */
enum gk_step {
	GK_STEP_CHECK,
	GK_STEP_LOOK,		/* who has them, after a start of gatekeeperd */
	GK_STEP_RELEASE,
	GK_STEP_RESET,
	GK_STEP_ASSIGN,
	GK_STEP_TAKE_BACK,
	GK_STEP_RESET_BACK,
};

struct gk_handover {
	struct gk_ho_machine m;
	struct gk_ho_record r;
	struct gk_handoff_opts opts;	/* of the step that runs */
	enum gk_step step;
	unsigned child;		/* it, or a check; 0: none */
	struct gk_timer deadline;	/* of the machine's state */
	struct gk_client *client;	/* who asked; NULL: nobody, or has gone */
	int checking;		/* asked for, and not begun yet */
	int automatic;		/* nobody asked */
	char last[512];		/* last line a child said */
	char found[GK_FOUND_MAX];	/* what the check or the look said */
	uint64_t step_since, reclaim_since;
	uint64_t quiesce_sent, last_key;
	int old_gone;		/* the gate of before was destroyed */
	int dark;		/* no keyboard has counted since then */
	struct gk_timer settle;	/* after the assignment */
	struct gk_timer resumed;	/* after a start of ours, when confirmed */
	struct gk_timer comes_back;	/* the agent, whose link is lost */
	struct gk_timer again;	/* the next try for it */
	uint64_t look_since;
	/* handover_pci.c */
	unsigned pci_child;	/* gatekeeper-pci, 0: none */
	int pci_fd;		/* its socket, while there is a child */
	int pci_ready;
	int pci_awaited;	/* all else is prepared */
	struct gk_timer pci_late;
	/* target.c */
	unsigned watcher;
	struct gk_timer watcher_timer, auto_timer;
	char watched[GK_HO_NAME_MAX];
	int seen_domid, seen_agent;	/* -1: no such domain */
	int seen_dead;		/* it is still there, and does nothing any more */
	int dead_domid;		/* the last one of which that is known */
	int let_go;		/* the agent has, when it was asked to */
	int hung;		/* it has not answered, nor come back */
	uint64_t auto_at[GK_RESTARTS_KEPT];
	unsigned autos;
	unsigned in_vain;	/* tries since then that the agent did not answer */
	/* free.c */
	unsigned free_watch;
	int free_taken;		/* a domain has one of them, or it is not known */
	struct gk_timer free_timer, free_again;
};

struct gk_sleep {
	int asleep;		/* the machine is, or is about to be, suspended */
	uint64_t since;		/* CLOCK_MONOTONIC, ms */
	uint64_t settle_until;
	int could_not_type;	/* before it */
	struct gk_client *client;	/* who waits for it to be settled */
	struct gk_timer settle, longest, alive;
};

struct gk_daemon {
	struct gk_loop *loop;
	struct gk_options opt;
	struct gk_screen screen;
	struct gk_virtual_keyboard keyboard;
	unsigned keyboard_tries;
	struct gk_timer keyboard_timer;
	int in_initrd;

	enum gk_gate_state state;
	char cause[GK_CAUSE_MAX];
	struct gk_controller controller[GK_CONTROLLERS_MAX];
	int controllers;
	int unbound;		/* at the end of controller[]: without a driver */
	int other_controllers;	/* USB controllers that are not pciback's */
	int controllers_unread;	/* sysfs did not say which there are */
	struct gk_xs_answer xs;
	struct gk_times times;
	int ready;		/* told so in /run */
	int told_late, told_note, told_no_xs;
	int not_ours;		/* xl: a controller may be another domain's */
	int marked_once;	/* so xl said, and is tried once more */

	uint64_t xs_since;	/* first probe without an answer */
	int reconnect;		/* a gate ran already */
	enum gk_after_destroy after_destroy;
	int destroy_failed;	/* the gate may still be there */
	uint64_t restart_at[GK_RESTARTS_KEPT];
	unsigned restarts;
	struct gk_timer gate_timer;	/* deadline of the present state */
	struct gk_timer late_timer;	/* rd.gatekeeper.timeout */
	unsigned gate_child;		/* xl, or a probe */

	/* The link. */
	int link_fd;		/* -1: none */
	unsigned link_child;
	int link_agent;		/* it is the agent's, not the gate's */
	struct gk_agent agent;
	struct gk_continuity continuity;
	int session_begun;	/* session has its nonce */
	struct gk_timer reader_timer;	/* the next question, or its last chance */
	uint64_t reader_token;		/* of the last question */
	unsigned reader_misses;		/* 0: it has answered */
	struct gk_session session;
	struct gk_gate_rules rules;	/* those of the gate that runs */
	struct gk_keyboards keyboards;
	struct gk_inputs inputs;
	struct gk_fido fido;
	struct gk_events events;
	struct gk_timer events_timer;
	char violation[GK_CAUSE_MAX];	/* what the reader said of it, "" */
	uint64_t noise_window;	/* bound of what the gate can put in the log */
	unsigned noise;

	int control_fd;
	unsigned owners_child;	/* for the status; 0: none */
	struct gk_client client[GK_CLIENTS];
	struct gk_client *stop_client;
	int stopping;		/* quiesced: destroy the gate, and end */

	struct gk_handover handover;
	struct gk_sleep sleep;
	struct gk_timer quiesce_timer;	/* of a stop */
	ino_t prompt_seen;	/* the question that was answered with a line */
	struct gk_timer prompt_timer, summary_timer;

	unsigned fallback_child;
	int fallback_ready;
};

/* daemon.c */
/* gk_daemon_name: argv[0], which is kept; gk_daemon_ordinary_name: takes the
 * '@' from it, in the process's own memory. */
void gk_daemon_name(char *argv0);
void gk_daemon_ordinary_name(void);
/* gk_daemon_status: a view on d for status.h; valid until d changes or the next
 * call. Who has the controllers is what gatekeeperd has done last. */
void gk_daemon_status(struct gk_daemon *d, struct gk_status *s);
/* gk_daemon_publish: state.json, and ready or failed, as d is now. */
void gk_daemon_publish(struct gk_daemon *d);
/* gk_daemon_switched_root: the real root is there. */
void gk_daemon_switched_root(struct gk_daemon *d);

/* domain.c */
void gk_gate_begin(struct gk_daemon *d);
/* gk_gate_check_ready: HELLO and the virtual keyboard: both are there? */
void gk_gate_check_ready(struct gk_daemon *d);
/* gk_gate_lost: the gate or its link broke; cause as for a person. */
void gk_gate_lost(struct gk_daemon *d, const char *cause);
/* gk_gate_reconnect: only the link reader broke: a new one, the same gate. */
void gk_gate_reconnect(struct gk_daemon *d, const char *cause);
/* gk_gate_give_up: says so, and falls back if that is wanted. Final, but for what
 * happens in the running system: a handoff, or a try after restart_window. */
void gk_gate_give_up(struct gk_daemon *d, const char *cause);
void gk_gate_destroy(struct gk_daemon *d, enum gk_after_destroy after);
/* gk_gate_is_alive: there is, or will be, a gate that nobody has asked away. */
int gk_gate_is_alive(const struct gk_daemon *d);
/* gk_gate_look: the controllers, from sysfs; 0 when there is none, and it was given
 * up. gk_gate_end_old: destroys the gate of that id, which has given its controllers
 * away; another may be called the same by then. */
int gk_gate_look(struct gk_daemon *d);
void gk_gate_end_old(struct gk_daemon *d, int domid);
/* gk_gate_start: there is no gate: a new one. */
void gk_gate_start(struct gk_daemon *d);

/* link_client.c */
int gk_link_start(struct gk_daemon *d, unsigned timeout_s) GK_MUST_CHECK;
/* gk_link_stop: ends the reader; all keys up. */
void gk_link_stop(struct gk_daemon *d);
/*
 * gk_link_reader: a link reader to this domain, its packets at *fd; `line` is its
 * stderr, `done` its end. gk_link_take: such a reader's link, whose session is in
 * d->session, becomes the daemon's. gk_link_end_cause: what its end means.
 */
int gk_link_reader(struct gk_daemon *d, const char *name, int domid, unsigned timeout_s,
		   void (*line)(void *ctx, const char *line),
		   void (*done)(void *ctx, const struct gk_child_end *end), int *fd,
		   unsigned *child) GK_MUST_CHECK;
void gk_link_take(struct gk_daemon *d, int fd, unsigned child);
const char *gk_link_end_cause(const struct gk_daemon *d, int status);
/* gk_link_send: best effort; never waits. GK_ERR_LIMIT: there is no room now. */
int gk_link_send(struct gk_daemon *d, const struct gk_frame *f);
/* gk_link_watch: the session has begun: from now on the reader is asked whether it
 * is alive. gk_link_answered: what it says to that. */
void gk_link_watch(struct gk_daemon *d);
void gk_link_answered(struct gk_daemon *d, const struct gk_link_ping *p);

/* devices.c */
/* gk_devices_frame: 0, or an error: the link is no good. */
int gk_devices_frame(struct gk_daemon *d, const struct gk_frame *f)
	GK_MUST_CHECK;
/* gk_devices_quiet: 1: the other end of the link, which can cause this line, has had
 * its share of the log for now. To be asked once for each. */
int gk_devices_quiet(struct gk_daemon *d);
/* gk_devices_here: the device in this slot of the session was told of, or it is known
 * only now where it is. */
void gk_devices_here(struct gk_daemon *d, int slot);
/* gk_devices_load: the events of before, when gatekeeperd was started again. */
void gk_devices_load(struct gk_daemon *d);
/* gk_devices_decided: what became of the device in this slot: says so. */
void gk_devices_decided(struct gk_daemon *d, int slot);
/* gk_devices_kind: "keyboard", "storage device"; valid until the next call. */
const char *gk_devices_kind(const struct gk_link_device *i);
/* gk_devices_lights: the lock lights to every admitted keyboard, or to the
 * one with this id. */
void gk_devices_lights(struct gk_daemon *d, uint32_t id);
void gk_devices_all_up(struct gk_daemon *d);
/* gk_devices_key: a key of a keyboard that counts has changed.
 * gk_devices_sync: more than one may have. */
void gk_devices_key(struct gk_daemon *d, uint16_t code, int value);
void gk_devices_sync(struct gk_daemon *d);
/* gk_devices_port: where it is, for a person: "1-2.3". */
void gk_devices_port(struct gk_daemon *d, const struct gk_link_device *i,
		     char text[GK_PORT_TEXT]);

/* handover.c */
struct gk_handover_wish {
	enum gk_ho_mode mode;
	char config[256], to[GK_HO_NAME_MAX];
	int no_strict_reset, permissive;
};

/* gk_handover_start: c (NULL: nobody) is told how it went. GK_ERR_ORDER or _SYSTEM
 * with why as one line: nothing was begun. */
int gk_handover_start(struct gk_daemon *d, const struct gk_handover_wish *w,
		      struct gk_client *c, const char *why[1]) GK_MUST_CHECK;
/* gk_handover_reclaim: the controllers back to the gate. */
int gk_handover_reclaim(struct gk_daemon *d, struct gk_client *c, const char *why[1])
	GK_MUST_CHECK;
/* gk_handover_resume: at the start: goes on from what a gatekeeperd before us has
 * left; 0: there is nothing, the gate is to be begun. */
int gk_handover_resume(struct gk_daemon *d);
/* gk_handover_stop: the gate lets go, is destroyed, and the daemon ends. Without
 * letting go the guest's xHCI driver would wait 5 s for a controller that is
 * not its own any more. */
void gk_handover_stop(struct gk_daemon *d);
/* gk_handover_quiesced: the domain at the other end of the link; q NULL: it has gone. */
void gk_handover_quiesced(struct gk_daemon *d, const struct gk_link_quiesced *q);
/* gk_handover_gate_up, _lost: the gate is ready; it has gone, or its link. */
void gk_handover_gate_up(struct gk_daemon *d);
void gk_handover_gate_lost(struct gk_daemon *d);
/* gk_handover_agent: the agent's link to be is ready, or (0) has ended. */
void gk_handover_agent(struct gk_daemon *d, int ready);
/* gk_handover_link_lost: that of the agent, which was the link. */
void gk_handover_link_lost(struct gk_daemon *d, const char *cause);
/* gk_handover_target_gone: its domain is not there any more. */
void gk_handover_target_gone(struct gk_daemon *d);
/* gk_handover_device: the agent has told of a device. */
void gk_handover_device(struct gk_daemon *d);
/* gk_handover_busy: something is under way, or asked for. */
int gk_handover_busy(const struct gk_daemon *d);
/* gk_handover_end_suspect: the gate cannot have a controller, xl says. 1: it is asked
 * who has it, and the domain that was being given it last is destroyed if it may be that
 * one; then the gate is tried again, or given up; 0: there is no such domain. */
int gk_handover_end_suspect(struct gk_daemon *d);
/* gk_handover_can_type: there is a keyboard whose keys count, or will when a person
 * types its number. */
int gk_handover_can_type(const struct gk_daemon *d);
/* gk_handover_write: handoff.json, as it is now. */
void gk_handover_write(struct gk_daemon *d);

/* target.c */
/* gk_target_watch: from now on the domain of d->handover.r.target, or of sys_usb. */
void gk_target_watch(struct gk_daemon *d);
void gk_target_unwatch(struct gk_daemon *d);
/* gk_target_look: asks at once how that domain is. */
void gk_target_look(struct gk_daemon *d);
/* gk_target_tried: a handoff takes the gate's devices: it counts, if nobody asked. */
void gk_target_tried(struct gk_daemon *d);
/* gk_target_consider: whether it is time for a handoff that nobody asked for. */
void gk_target_consider(struct gk_daemon *d);

/* free.c */
/* gk_free_watch: from now on, if the state wants it: back to the gate when nobody has
 * them for free_time. gk_free_count: that time begins again. */
void gk_free_watch(struct gk_daemon *d);
void gk_free_unwatch(struct gk_daemon *d);
void gk_free_count(struct gk_daemon *d);

/* sleep.c */
/* gk_sleep_begin: c is answered when nothing is under way any more, after 20 s at the
 * latest; nothing is begun by itself from then on. gk_sleep_end: the machine is awake
 * again; c is answered at once. gk_sleep_is: between the two. */
void gk_sleep_begin(struct gk_daemon *d, struct gk_client *c);
void gk_sleep_end(struct gk_daemon *d, struct gk_client *c);
int gk_sleep_is(const struct gk_daemon *d);

/* control.c */
int gk_control_open(struct gk_daemon *d) GK_MUST_CHECK;
/* gk_control_line: a line of the answer; c may be NULL. */
void gk_control_line(struct gk_client *c, const char *line);
/* gk_control_status: the answer to "status"; t NULL: it is not known who has them. */
void gk_control_status(struct gk_client *c, const struct gk_truth *t);
/* gk_control_finish: {"ok":true} or, with why, {"ok":false,"error":why}; then
 * the connection is closed. */
void gk_control_finish(struct gk_client *c, const char *why);
void gk_control_end(struct gk_client *c);

/* prompt.c */
/* gk_prompt_watch: as long as messages go to the screen. */
void gk_prompt_watch(struct gk_daemon *d);

/* fallback.c */
void gk_fallback_start(struct gk_daemon *d);

#endif
