/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For tests of gk-usb-device: the host's side of usbredir, what QEMU would send
 * and what QEMU never would. GK_USB_DEVICE names the program.
 */
#ifndef GK_TEST_HOST_H
#define GK_TEST_HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>
#include <usbredirparser.h>

#define WAIT_MS		30000	/* nothing takes a second, on a machine that is not busy */
#define QUIET_MS	150
#define PACKETS		512

/* One answer, or one packet that came by itself. */
struct packet {
	uint8_t status;
	uint8_t ep;
	uint8_t value;		/* configuration or alternate setting */
	int len;
	uint8_t data[4096];
};

struct host {
	char dir[64], sock[96], ctl[96];
	pid_t pid;
	int in_fd, out_fd;	/* the program's stdin and stdout */
	int fd, script;
	struct usbredirparser *parser;
	uint64_t id;
	int connects, disconnects;
	struct usb_redir_device_connect_header device;
	struct usb_redir_ep_info_header eps;
	struct usb_redir_interface_info_header interfaces;
	bool answered;
	uint64_t answered_id;
	struct packet answer;
	struct packet packets[PACKETS];
	int n_packets;
	long n_in;		/* with those there was no room for */
};

#define until(h, cond) do { \
	long end_ = now_ms() + WAIT_MS; \
	while (!(cond)) { \
		assert_true(now_ms() < end_); \
		/* what is waited for may be the last thing it said */ \
		assert_true(turn(h, 50) || (cond)); \
	} \
} while (0)

/* start(KIND, OPTION...) */
#define start(...) start_with((const char *const[]){ __VA_ARGS__, NULL })

long now_ms(void);
/* One turn; false when the device's side has closed. */
bool turn(struct host *h, int ms);
/* Turns for so long, whatever comes. */
void quiet(struct host *h, int ms);
int dial(const char *path);
void spawn(struct host *h, char *const argv[], bool mute);
/* The exit status; -1 if it does not end, or by a signal. */
int reap(struct host *h);
void read_line(int fd, char *line, size_t size);
void attach(struct host *h, int fd);
void detach(struct host *h);
struct host *start_with(const char *const *options);
void stop(struct host *h);
void command(struct host *h, const char *text);
void expect(struct host *h, const char *answer);
void tell(struct host *h, const char *text, const char *answer);
long stat_of(struct host *h, const char *name);
void send_control(struct host *h, uint8_t type, uint8_t request, uint16_t value,
		  uint16_t index, uint16_t length, const uint8_t *data);
struct packet *wait_answer(struct host *h);
struct packet *control(struct host *h, uint8_t type, uint8_t request,
		       uint16_t value, uint16_t index, uint16_t length,
		       const uint8_t *data);
struct packet *get_descriptor(struct host *h, uint16_t value, uint16_t length);
void set_configuration(struct host *h, uint8_t value);
struct packet *set_alt(struct host *h, uint8_t interface, uint8_t alt);
void poll_endpoint(struct host *h, uint8_t ep);
void set_idle(struct host *h, uint8_t interface, uint8_t rate);
void bring_up(struct host *h);
void send_bulk(struct host *h, uint8_t ep, uint8_t *data, int len);
const char *program(void);

#endif
