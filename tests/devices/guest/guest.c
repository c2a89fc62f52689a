/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The whole user space of the self-test's guest, as its PID 1: loads the
 * modules it was given, prints every input event as it comes, and can read a
 * keyboard past the kernel's driver through usbdevfs, as libusb does.
 *
 * Prints, one a line:  gk ready | gk dev ID PHYS | gk gone ID | gk lost ID |
 * gk ev ID CODE:VALUE[,CODE:VALUE]...  one line per SYN, EV_KEY only |
 * gk usbfs TEXT | gk urb HEX | gk error TEXT
 * with ID = vid:pid/interface. Takes: usbfs VID:PID COUNT, poweroff.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <linux/usbdevice_fs.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define INPUTS	64
#define BACKLOG	(1u << 20)

struct input {
	int fd;
	int number;
	char id[32];
	char frame[512];
	size_t frame_len;
};

static struct input inputs[INPUTS];
/* What is printed while events still come in: the serial line is slow. */
static char backlog[BACKLOG];
static size_t backlog_len;

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(backlog + backlog_len, BACKLOG - backlog_len, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < BACKLOG - backlog_len)
		backlog_len += (size_t)n;
}

static void print_some(size_t max)
{
	size_t n = backlog_len < max ? backlog_len : max;
	ssize_t done = n ? write(1, backlog, n) : 0;

	if (done > 0) {
		backlog_len -= (size_t)done;
		memmove(backlog, backlog + done, backlog_len);
	}
}

static void load_modules(void)
{
	struct dirent **names;
	char path[300];
	int i, fd, n = scandir("/mod", &names, NULL, alphasort);

	for (i = 0; i < n; i++) {
		if (names[i]->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/mod/%s", names[i]->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 &&
			       errno != EEXIST))
			say("gk error %s: %s\n", path, strerror(errno));
		if (fd >= 0)
			close(fd);
	}
}

static void open_input(int number)
{
	struct input_id id = { 0, 0, 0, 0 };
	char path[64], phys[128] = "", *slash;
	struct input *in = NULL;
	int i, fd;

	for (i = 0; i < INPUTS; i++) {
		if (inputs[i].fd >= 0 && inputs[i].number == number)
			return;
		if (inputs[i].fd < 0 && !in)
			in = &inputs[i];
	}
	snprintf(path, sizeof(path), "/dev/input/event%d", number);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || !in) {
		if (fd >= 0)
			close(fd);
		return;
	}
	ioctl(fd, EVIOCGID, &id);
	ioctl(fd, EVIOCGPHYS(sizeof(phys) - 1), phys);
	slash = strrchr(phys, '/');
	in->fd = fd;
	in->number = number;
	in->frame_len = 0;
	snprintf(in->id, sizeof(in->id), "%04x:%04x/%s", id.vendor, id.product,
		 slash && !strncmp(slash, "/input", 6) ? slash + 6 : "?");
	say("gk dev %s %s\n", in->id, phys);
}

static void scan_inputs(void)
{
	DIR *dir = opendir("/dev/input");
	struct dirent *d;
	int number;

	while (dir && (d = readdir(dir))) {
		if (sscanf(d->d_name, "event%d", &number) == 1)
			open_input(number);
	}
	if (dir)
		closedir(dir);
}

static void read_input(struct input *in)
{
	struct input_event ev[64];
	ssize_t n = read(in->fd, ev, sizeof(ev));
	int len;
	size_t i;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		say("gk gone %s\n", in->id);
		close(in->fd);
		in->fd = -1;
		return;
	}
	for (i = 0; i < (size_t)n / sizeof(ev[0]); i++) {
		if (ev[i].type == EV_SYN && ev[i].code == SYN_DROPPED)
			say("gk lost %s\n", in->id);
		if (ev[i].type == EV_SYN && in->frame_len) {
			say("gk ev %s %s\n", in->id, in->frame);
			in->frame_len = 0;
		}
		if (ev[i].type != EV_KEY || in->frame_len > 480)
			continue;
		len = snprintf(in->frame + in->frame_len,
			       sizeof(in->frame) - in->frame_len, "%s%u:%d",
			       in->frame_len ? "," : "", ev[i].code,
			       ev[i].value);
		in->frame_len += (size_t)len;
	}
}

static long attribute(const char *device, const char *name, int base)
{
	char path[300], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/usb/devices/%s/%s", device, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return strtol(text, NULL, base);
}

static int open_usb(unsigned int vid, unsigned int pid)
{
	DIR *dir = opendir("/sys/bus/usb/devices");
	struct dirent *d;
	char path[64] = "";

	while (dir && (d = readdir(dir))) {
		if (attribute(d->d_name, "idVendor", 16) != (long)vid ||
		    attribute(d->d_name, "idProduct", 16) != (long)pid)
			continue;
		snprintf(path, sizeof(path), "/dev/bus/usb/%03ld/%03ld",
			 attribute(d->d_name, "busnum", 10),
			 attribute(d->d_name, "devnum", 10));
	}
	if (dir)
		closedir(dir);
	return path[0] ? open(path, O_RDWR | O_CLOEXEC) : -1;
}

static int control(int fd, uint8_t type, uint8_t request, uint16_t value,
		   uint16_t length, void *data)
{
	struct usbdevfs_ctrltransfer c = {
		.bRequestType = type, .bRequest = request, .wValue = value,
		.wLength = length, .timeout = 5000, .data = data,
	};

	return ioctl(fd, USBDEVFS_CONTROL, &c);
}

/*
 * Waits for one report; -1: nothing for 20 s. The buffer is as long as the
 * report: with a longer one the transfer goes on after a full packet (USB 2.0
 * 5.7.3).
 */
static int reap(int fd, uint8_t report[8])
{
	struct usbdevfs_urb urb = {
		.type = USBDEVFS_URB_TYPE_INTERRUPT, .endpoint = 0x81,
		.buffer = report, .buffer_length = 8,
	}, *done;
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	if (ioctl(fd, USBDEVFS_SUBMITURB, &urb) < 0)
		return -1;
	if (poll(&p, 1, 20000) != 1) {
		ioctl(fd, USBDEVFS_DISCARDURB, &urb);
		ioctl(fd, USBDEVFS_REAPURB, &done);
		return -1;
	}
	if (ioctl(fd, USBDEVFS_REAPURB, &done) < 0 || urb.status < 0)
		return -1;
	return urb.actual_length;
}

static void usbfs(unsigned int vid, unsigned int pid, int count)
{
	struct usbdevfs_ioctl disconnect = {
		.ifno = 0, .ioctl_code = USBDEVFS_DISCONNECT,
	};
	unsigned int interface = 0;
	uint8_t buf[256], leds = 1;
	int i, n, fd = open_usb(vid, pid);

	if (fd < 0) {
		say("gk usbfs no such device\n");
		return;
	}
	n = ioctl(fd, USBDEVFS_IOCTL, &disconnect);
	if (n < 0 || ioctl(fd, USBDEVFS_CLAIMINTERFACE, &interface) < 0) {
		say("gk usbfs claim: %s\n", strerror(errno));
		goto out;
	}
	n = control(fd, 0x81, 6, 0x2200, sizeof(buf), buf);
	say("gk usbfs report descriptor %d\n", n);
	say("gk usbfs set protocol %d\n", control(fd, 0x21, 0x0b, 0, 0, NULL));
	say("gk usbfs set idle %d\n", control(fd, 0x21, 0x0a, 0, 0, NULL));
	say("gk usbfs set report %d\n", control(fd, 0x21, 9, 0x200, 1, &leds));
	say("gk usbfs get report %d\n", control(fd, 0xa1, 1, 0x100, 8, buf));
	say("gk usbfs reading\n");
	print_some(BACKLOG);
	for (i = 0; i < count; i++) {
		n = reap(fd, buf);
		if (n != 8)
			break;
		say("gk urb %02x%02x%02x%02x%02x%02x%02x%02x\n", buf[0], buf[1],
		    buf[2], buf[3], buf[4], buf[5], buf[6], buf[7]);
	}
	ioctl(fd, USBDEVFS_RELEASEINTERFACE, &interface);
	say("gk usbfs done %d\n", i);
out:
	close(fd);
}

static void command(const char *line)
{
	unsigned int vid, pid;
	int count;

	if (sscanf(line, "usbfs %x:%x %d", &vid, &pid, &count) == 3)
		usbfs(vid, pid, count);
	else if (!strcmp(line, "poweroff"))
		reboot(RB_POWER_OFF);
	else if (line[0])
		say("gk error not understood: %s\n", line);
}

static void read_commands(void)
{
	static char line[256];
	static size_t len;
	char c;

	while (read(0, &c, 1) == 1) {
		if (c == '\n' || c == '\r' || len == sizeof(line) - 1) {
			line[len] = '\0';
			len = 0;
			command(line);
		} else {
			line[len++] = c;
		}
	}
}

int main(void)
{
	struct pollfd p[INPUTS + 1];
	struct termios t;
	long next_scan = 0;
	struct timespec ts;
	int i, n, fd;

	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	fd = open("/dev/ttyS0", O_RDWR | O_NOCTTY | O_NONBLOCK);
	for (i = 0; i < 3; i++)
		dup2(fd, i);
	if (tcgetattr(0, &t) == 0) {
		cfmakeraw(&t);
		tcsetattr(0, TCSANOW, &t);
	}
	for (i = 0; i < INPUTS; i++)
		inputs[i].fd = -1;
	load_modules();
	say("gk ready\n");
	/* The self-test ends the machine; this is for when it cannot. */
	for (;;) {
		clock_gettime(CLOCK_MONOTONIC, &ts);
		if (ts.tv_sec > 1800)
			reboot(RB_POWER_OFF);
		if (ts.tv_sec * 1000 + ts.tv_nsec / 1000000 >= next_scan) {
			scan_inputs();
			next_scan = ts.tv_sec * 1000 + ts.tv_nsec / 1000000 + 50;
		}
		p[0] = (struct pollfd){ .fd = 0, .events = POLLIN };
		for (i = 0; i < INPUTS; i++)
			p[i + 1] = (struct pollfd){ .fd = inputs[i].fd,
						    .events = POLLIN };
		n = poll(p, INPUTS + 1, backlog_len ? 0 : 50);
		for (i = 0; n > 0 && i < INPUTS; i++) {
			if (inputs[i].fd >= 0 && p[i + 1].revents)
				read_input(&inputs[i]);
		}
		if (n > 0 && p[0].revents & POLLIN)
			read_commands();
		print_some(64);
	}
}
