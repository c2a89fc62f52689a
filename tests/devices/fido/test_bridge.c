/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test_bridge.h"

#include <errno.h>
#include <fido/es256.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 20000, ARGS_MAX = 32, PACKET = 64,
       KEEPALIVE = 0xbb };

struct io_log io_log;
int dev_timeout_ms = 3000;

static const uint8_t client_hash[32];

long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* --- the program ------------------------------------------------------------ */

static void read_line(int fd, char *line, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t n = 0;

	while (n + 1 < size) {
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		assert_int_equal(read(fd, line + n, 1), 1);
		if (line[n] == '\n')
			break;
		n++;
	}
	line[n] = '\0';
}

void start_with(struct bridge *b, const char *const *options)
{
	const char *program = getenv("FIDO_BRIDGE");
	const char *args[ARGS_MAX] = { "fido-bridge", "--socket", b->sock,
				       "--max-seconds", "280" };
	int in[2], out[2], n = 5;
	char line[64];

	if (!b->dir[0]) {
		strcpy(b->dir, "/tmp/gk-test-fido-XXXXXX");
		assert_non_null(mkdtemp(b->dir));
		snprintf(b->sock, sizeof(b->sock), "%s/key", b->dir);
		snprintf(b->state, sizeof(b->state), "%s/state", b->dir);
	} else if (mkdir(b->dir, 0700) < 0) {
		assert_int_equal(errno, EEXIST);
	}
	for (; *options; options++) {
		assert_true(n < ARGS_MAX - 1);
		args[n++] = *options;
	}
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	b->pid = fork();
	assert_true(b->pid >= 0);
	if (!b->pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[0]);
		close(in[1]);
		close(out[0]);
		close(out[1]);
		execv(program ? program : "build/tests/fido-bridge",
		      (char *const *)(uintptr_t)args);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	b->in_fd = in[1];
	b->out_fd = out[0];
	read_line(b->out_fd, line, sizeof(line));
	assert_string_equal(line, "ready");
}

void stop(struct bridge *b)
{
	long end = now_ms() + WAIT_MS;
	int status = -1;

	close(b->in_fd);
	while (waitpid(b->pid, &status, WNOHANG) == 0) {
		if (now_ms() > end) {
			kill(b->pid, SIGKILL);
			waitpid(b->pid, &status, 0);
			break;
		}
		usleep(2000);
	}
	close(b->out_fd);
	assert_int_equal(status, 0);
	assert_int_equal(access(b->sock, F_OK), -1);
	/* stays while there is a state file in it */
	if (rmdir(b->dir) < 0)
		assert_int_equal(errno, ENOTEMPTY);
}

static void exchange(struct bridge *b, const char *line, char *answer,
		     size_t size)
{
	size_t len = strlen(line);

	assert_int_equal(write(b->in_fd, line, len), len);
	assert_int_equal(write(b->in_fd, "\n", 1), 1);
	read_line(b->out_fd, answer, size);
}

void tell(struct bridge *b, const char *line, const char *answer)
{
	char text[2100];

	exchange(b, line, text, sizeof(text));
	assert_string_equal(text, answer);
}

static const char *value_of(struct bridge *b, const char *name, char *text,
			    size_t size)
{
	char key[64];
	const char *p;

	exchange(b, "fido", text, size);
	snprintf(key, sizeof(key), "\"%s\":", name);
	p = strstr(text, key);
	assert_non_null(p);
	return p + strlen(key);
}

long number_of(struct bridge *b, const char *name)
{
	char text[2100];

	return strtol(value_of(b, name, text, sizeof(text)), NULL, 10);
}

bool says(struct bridge *b, const char *name, const char *value)
{
	char text[2100];

	return !strncmp(value_of(b, name, text, sizeof(text)), value,
			strlen(value));
}

/* --- libfido2 over the socket ----------------------------------------------- */

static void *io_open(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int *handle = malloc(sizeof(*handle));

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	if (!handle || fd < 0 ||
	    connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		free(handle);
		close(fd);
		return NULL;
	}
	*handle = fd;
	return handle;
}

static void io_close(void *handle)
{
	close(*(int *)handle);
	free(handle);
}

static int io_read(void *handle, unsigned char *buf, size_t len, int ms)
{
	struct pollfd p = { .fd = *(int *)handle, .events = POLLIN };
	ssize_t n;

	if (len != PACKET || poll(&p, 1, ms) != 1)
		return -1;
	n = recv(p.fd, buf, len, 0);
	if (n != PACKET)
		return -1;
	io_log.packets++;
	if (buf[4] == KEEPALIVE)
		io_log.keepalives[buf[7] < 3 ? buf[7] : 0]++;
	return PACKET;
}

static int io_write(void *handle, const unsigned char *buf, size_t len)
{
	if (len != PACKET + 1 ||
	    send(*(int *)handle, buf + 1, PACKET, MSG_NOSIGNAL) != PACKET)
		return -1;
	return (int)len;
}

/* Its file is there a moment before it listens. */
static bool listens(struct bridge *b)
{
	void *handle = io_open(b->sock);

	if (handle)
		io_close(handle);
	return handle;
}

void wait_socket(struct bridge *b, bool there)
{
	long end = now_ms() + WAIT_MS;

	while (listens(b) != there) {
		assert_true(now_ms() < end);
		usleep(1000);
	}
}

fido_dev_t *try_open(struct bridge *b, int *r)
{
	static const fido_dev_io_t io = { io_open, io_close, io_read, io_write };
	fido_dev_t *dev = fido_dev_new();

	assert_non_null(dev);
	memset(&io_log, 0, sizeof(io_log));
	assert_int_equal(fido_dev_set_io_functions(dev, &io), FIDO_OK);
	assert_int_equal(fido_dev_set_timeout(dev, dev_timeout_ms), FIDO_OK);
	*r = fido_dev_open(dev, b->sock);
	if (*r != FIDO_OK)
		fido_dev_free(&dev);
	return dev;
}

fido_dev_t *open_dev(struct bridge *b)
{
	fido_dev_t *dev;
	int r;

	dev = try_open(b, &r);
	assert_int_equal(r, FIDO_OK);
	assert_true(fido_dev_is_fido2(dev));
	return dev;
}

void close_dev(fido_dev_t *dev)
{
	fido_dev_close(dev);
	fido_dev_free(&dev);
}

int make(fido_dev_t *dev, int alg, bool rk, int protect, const char *pin,
	 fido_cred_t **cred)
{
	static const uint8_t user[] = { 1, 2, 3 };
	fido_cred_t *c = fido_cred_new();
	int r;

	assert_non_null(c);
	assert_int_equal(fido_cred_set_type(c, alg), FIDO_OK);
	assert_int_equal(fido_cred_set_clientdata_hash(c, client_hash, 32),
			 FIDO_OK);
	assert_int_equal(fido_cred_set_rp(c, RP_ID, "disks"), FIDO_OK);
	assert_int_equal(fido_cred_set_user(c, user, sizeof(user), "root", "Root",
					    NULL), FIDO_OK);
	assert_int_equal(fido_cred_set_extensions(c, FIDO_EXT_HMAC_SECRET),
			 FIDO_OK);
	if (protect)
		assert_int_equal(fido_cred_set_prot(c, protect), FIDO_OK);
	if (rk)
		assert_int_equal(fido_cred_set_rk(c, FIDO_OPT_TRUE), FIDO_OK);
	r = fido_dev_make_cred(dev, c, pin);
	if (cred)
		*cred = c;
	else
		fido_cred_free(&c);
	return r;
}

void make_id(fido_dev_t *dev, const char *pin, struct id *id)
{
	fido_cred_t *cred;

	assert_int_equal(make(dev, COSE_ES256, false, 0, pin, &cred), FIDO_OK);
	assert_int_equal(fido_cred_verify_self(cred), FIDO_OK);
	id->len = fido_cred_id_len(cred);
	assert_in_range(id->len, 1, sizeof(id->data));
	memcpy(id->data, fido_cred_id_ptr(cred), id->len);
	assert_int_equal(fido_cred_pubkey_len(cred), sizeof(id->key));
	memcpy(id->key, fido_cred_pubkey_ptr(cred), sizeof(id->key));
	fido_cred_free(&cred);
}

static int verify(fido_assert_t *a, const struct ask *ask)
{
	es256_pk_t *pk = es256_pk_new();
	int r;

	assert_int_equal(es256_pk_from_ptr(pk, ask->id->key, 64), FIDO_OK);
	/* now it is what the answer has to say */
	fido_assert_set_uv(a, ask->pin || ask->uv == FIDO_OPT_TRUE ? FIDO_OPT_TRUE :
								     FIDO_OPT_FALSE);
	r = fido_assert_verify(a, 0, COSE_ES256, pk);
	es256_pk_free(&pk);
	return r;
}

int assert_secret(fido_dev_t *dev, const struct ask *ask, uint8_t *secret,
		  size_t *len)
{
	fido_assert_t *a = fido_assert_new();
	uint8_t salt[64];
	int r;

	assert_non_null(a);
	memset(salt, ask->salt, sizeof(salt));
	salt[63] ^= 1;
	assert_int_equal(fido_assert_set_rp(a, ask->rp_id ? ask->rp_id : RP_ID),
			 FIDO_OK);
	assert_int_equal(fido_assert_set_clientdata_hash(a, client_hash, 32),
			 FIDO_OK);
	if (ask->id)
		assert_int_equal(fido_assert_allow_cred(a, ask->id->data,
							ask->id->len), FIDO_OK);
	if (ask->salt) {
		assert_int_equal(fido_assert_set_extensions(a,
			FIDO_EXT_HMAC_SECRET), FIDO_OK);
		assert_int_equal(fido_assert_set_hmac_salt(a, salt,
			ask->two_salts ? 64 : 32), FIDO_OK);
	}
	assert_int_equal(fido_assert_set_up(a, ask->up), FIDO_OK);
	assert_int_equal(fido_assert_set_uv(a, ask->uv), FIDO_OK);
	r = fido_dev_get_assert(dev, a, ask->pin);
	if (len)
		*len = 0;
	if (r == FIDO_OK && len) {
		*len = fido_assert_hmac_secret_len(a, 0);
		assert_in_range(*len, 0, SECRET_MAX);
		if (*len)
			memcpy(secret, fido_assert_hmac_secret_ptr(a, 0), *len);
	}
	if (r == FIDO_OK && ask->verified)
		*ask->verified = verify(a, ask);
	fido_assert_free(&a);
	return r;
}

void *wait_for_touch(void *waiting)
{
	struct waiting *w = waiting;

	w->r = assert_secret(w->dev, w->ask, NULL, NULL);
	return NULL;
}
