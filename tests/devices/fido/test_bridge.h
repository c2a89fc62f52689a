/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For tests of the authenticator: libfido2 on one side of fido-bridge's socket,
 * script lines on the other. FIDO_BRIDGE names the program.
 */
#ifndef GK_TEST_BRIDGE_H
#define GK_TEST_BRIDGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>
#include <fido.h>

#define RP_ID		"io.systemd.cryptsetup"
#define PIN		"1234"

struct bridge {
	char dir[64], sock[96], state[96];
	pid_t pid;
	int in_fd, out_fd;
};

/* A credential: its id, and its public key as libfido2 gives it. */
struct id {
	size_t len;
	uint8_t data[256];
	uint8_t key[64];
};

/* What libfido2's packets were, for tests that look at the channel. */
struct io_log {
	unsigned long keepalives[3];	/* by status; [0] for all others */
	unsigned long packets;
};
extern struct io_log io_log;
/* What libfido2 is given for each request. */
extern int dev_timeout_ms;

/* start(b, OPTION...): runs it, with --socket and --max-seconds */
#define start(b, ...) start_with(b, (const char *const[]){ __VA_ARGS__, NULL })

long now_ms(void);
void start_with(struct bridge *b, const char *const *options);
/* Ends it, and expects that it ends with status 0. */
void stop(struct bridge *b);
/* A script line, and what it must be answered with. */
void tell(struct bridge *b, const char *line, const char *answer);
/* A number out of the answer to `fido`. */
long number_of(struct bridge *b, const char *name);
/* Is "name":text in the answer to `fido`? */
bool says(struct bridge *b, const char *name, const char *text);

/* Until the socket is there, or is not. */
void wait_socket(struct bridge *b, bool there);
/* Opened, with a timeout; or NULL and *r. */
fido_dev_t *try_open(struct bridge *b, int *r);
fido_dev_t *open_dev(struct bridge *b);
void close_dev(fido_dev_t *dev);

/* A request for a credential of RP_ID; pin may be NULL. libfido2's status. */
int make(fido_dev_t *dev, int alg, bool rk, int protect, const char *pin,
	 fido_cred_t **cred);
/* The same, checked and taken apart. */
void make_id(fido_dev_t *dev, const char *pin, struct id *id);

struct ask {
	const struct id *id;
	const char *rp_id;	/* NULL: RP_ID */
	const char *pin;
	fido_opt_t up, uv;
	uint8_t salt;		/* 0: no hmac-secret; else 32 bytes of it */
	bool two_salts;
	int *verified;		/* what libfido2 says of the signature, with id */
};

/* What libfido2 lets through, from an ill-behaved authenticator. */
enum { SECRET_MAX = 128 };

/* libfido2's status; secret (SECRET_MAX bytes) and *len if there was a salt. */
int assert_secret(fido_dev_t *dev, const struct ask *ask, uint8_t *secret,
		  size_t *len);

/* For a thread: a struct waiting, whose r is assert_secret()'s. */
struct waiting {
	fido_dev_t *dev;
	const struct ask *ask;
	int r;
};

void *wait_for_touch(void *waiting);

#endif
