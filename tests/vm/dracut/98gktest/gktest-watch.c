/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gktest-watch TTY: says on a serial line what happens in the initramfs, one
 * line each, "GKTEST <what> <CLOCK_BOOTTIME ms> <json>". For the VM tests only.
 * It polls and reads, and changes nothing by itself; a line "GKSH <command>" that
 * comes in is run by sh, for scenarios that break something before the prompt.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum {
	POLL_MS = 15,
	PROC_EVERY = 8,		/* polls between looks through /proc */
	SEEN_MAX = 256,
	NAME_LEN = 256,
	LINE_LEN = 1024,
};

struct seen {
	char name[SEEN_MAX][NAME_LEN];
	char tag[SEEN_MAX][NAME_LEN];	/* what is compared for changes */
	int fd[SEEN_MAX];
	unsigned int n;
};

static int line_fd = -1;
static volatile sig_atomic_t ended;

static void on_term(int sig)
{
	(void)sig;
	ended = 1;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void write_all(const char *data, size_t len)
{
	struct timespec nap = { .tv_nsec = 1000000L };

	for (int tries = 0; len > 0 && tries < 1000; tries++) {
		ssize_t n = write(line_fd, data, len);

		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return;
		if (n < 0)
			nanosleep(&nap, NULL);
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
}

__attribute__((format(printf, 3, 4)))
static void tell(const char *what, uint64_t ms, const char *format, ...)
{
	char line[LINE_LEN];
	va_list args;
	int head, body;

	head = snprintf(line, sizeof(line), "GKTEST %s %llu ", what,
			(unsigned long long)ms);
	va_start(args, format);
	body = vsnprintf(line + head, sizeof(line) - (size_t)head - 1, format,
			 args);
	va_end(args);
	if (body < 0 || (size_t)(head + body) >= sizeof(line) - 1)
		return;
	line[head + body] = '\n';
	write_all(line, (size_t)(head + body) + 1);
}

/* First line of a small file, JSON-safe; empty when there is none. */
static void read_line(const char *path, char out[NAME_LEN])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, NAME_LEN - 1);

	if (fd >= 0)
		close(fd);
	out[n < 0 ? 0 : n] = '\0';
	out[strcspn(out, "\n")] = '\0';
	for (char *c = out; *c; c++)
		if (*c < 0x20 || *c > 0x7e || *c == '"' || *c == '\\')
			*c = '?';
}

static int find(const struct seen *s, const char *name)
{
	for (unsigned int i = 0; i < s->n; i++)
		if (strcmp(s->name[i], name) == 0)
			return (int)i;
	return -1;
}

static int add(struct seen *s, const char *name)
{
	if (s->n >= SEEN_MAX)
		return -1;
	snprintf(s->name[s->n], NAME_LEN, "%s", name);
	s->tag[s->n][0] = '\0';
	s->fd[s->n] = -1;
	return (int)s->n++;
}

static void forget(struct seen *s, int i)
{
	unsigned int last = s->n - 1;

	if (s->fd[i] >= 0)
		close(s->fd[i]);
	if ((unsigned int)i != last) {
		memcpy(s->name[i], s->name[last], NAME_LEN);
		memcpy(s->tag[i], s->tag[last], NAME_LEN);
		s->fd[i] = s->fd[last];
	}
	s->n = last;
}

static int open_event(const char *input)
{
	char path[2 * NAME_LEN];
	struct dirent *e;
	int clock = CLOCK_BOOTTIME;
	int fd = -1;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/class/input/%s", input);
	dir = opendir(path);
	while (dir && (e = readdir(dir))) {
		if (strncmp(e->d_name, "event", 5) != 0)
			continue;
		snprintf(path, sizeof(path), "/dev/input/%s", e->d_name);
		fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		break;
	}
	if (dir)
		closedir(dir);
	if (fd >= 0 && ioctl(fd, EVIOCSCLOCKID, &clock) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Only that Enter was pressed, and when: never what was typed. */
static void read_keys(int fd, const char *input)
{
	struct input_event e[32];
	ssize_t n;

	while ((n = read(fd, e, sizeof(e))) > 0) {
		for (size_t i = 0; i < (size_t)n / sizeof(e[0]); i++) {
			if (e[i].type != EV_KEY || e[i].value != 1 ||
			    e[i].code != KEY_ENTER)
				continue;
			tell("enter", (uint64_t)e[i].input_event_sec * 1000 +
			     (uint64_t)e[i].input_event_usec / 1000,
			     "{\"input\":\"%s\"}", input);
		}
	}
}

static void watch_inputs(struct seen *s)
{
	char path[2 * NAME_LEN], name[NAME_LEN], phys[NAME_LEN];
	DIR *dir = opendir("/sys/class/input");
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		int i;

		if (strncmp(e->d_name, "input", 5) != 0)
			continue;
		i = find(s, e->d_name);
		if (i < 0) {
			i = add(s, e->d_name);
			if (i < 0)
				break;
			snprintf(path, sizeof(path), "/sys/class/input/%s/name",
				 e->d_name);
			read_line(path, name);
			snprintf(path, sizeof(path), "/sys/class/input/%s/phys",
				 e->d_name);
			read_line(path, phys);
			tell("input", now_ms(), "{\"input\":\"%s\",\"name\":\"%s\","
			     "\"phys\":\"%s\"}", e->d_name, name, phys);
		}
		if (s->fd[i] < 0)
			s->fd[i] = open_event(e->d_name);
	}
	if (dir)
		closedir(dir);
	for (unsigned int i = 0; i < s->n;) {
		snprintf(path, sizeof(path), "/sys/class/input/%s", s->name[i]);
		if (access(path, F_OK) < 0) {
			tell("input-gone", now_ms(), "{\"input\":\"%s\"}",
			     s->name[i]);
			forget(s, (int)i);
			continue;
		}
		if (s->fd[i] >= 0)
			read_keys(s->fd[i], s->name[i]);
		i++;
	}
}

static void watch_usb(struct seen *s)
{
	char path[2 * NAME_LEN], product[NAME_LEN];
	DIR *dir = opendir("/sys/bus/usb/devices");
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		if (e->d_name[0] == '.' || find(s, e->d_name) >= 0)
			continue;
		if (add(s, e->d_name) < 0)
			break;
		snprintf(path, sizeof(path), "/sys/bus/usb/devices/%s/product",
			 e->d_name);
		read_line(path, product);
		tell("usb", now_ms(), "{\"device\":\"%s\",\"product\":\"%s\"}",
		     e->d_name, product);
	}
	if (dir)
		closedir(dir);
}

/* Which driver each PCI USB controller is bound to. */
static void watch_controllers(struct seen *s)
{
	char path[2 * NAME_LEN], class[NAME_LEN], link[NAME_LEN];
	DIR *dir = s->n ? NULL : opendir("/sys/bus/pci/devices");
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/class",
			 e->d_name);
		read_line(path, class);
		if (strncmp(class, "0x0c03", 6) == 0)
			add(s, e->d_name);
	}
	if (dir)
		closedir(dir);
	for (unsigned int i = 0; i < s->n; i++) {
		const char *driver;
		ssize_t n;

		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver",
			 s->name[i]);
		n = readlink(path, link, sizeof(link) - 1);
		link[n < 0 ? 0 : n] = '\0';
		driver = strrchr(link, '/');
		driver = driver ? driver + 1 : "";
		if (strcmp(driver, s->tag[i]) == 0)
			continue;
		snprintf(s->tag[i], NAME_LEN, "%s", driver);
		tell("driver", now_ms(), "{\"bdf\":\"%s\",\"driver\":\"%s\"}",
		     s->name[i], driver);
	}
}

static void watch_ask_files(struct seen *s)
{
	DIR *dir = opendir("/run/systemd/ask-password");
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		if (strncmp(e->d_name, "ask.", 4) != 0 || find(s, e->d_name) >= 0)
			continue;
		add(s, e->d_name);
		tell("prompt", now_ms(), "{\"by\":\"systemd\"}");
	}
	if (dir)
		closedir(dir);
}

/* Without systemd: dracut runs cryptsetup luksOpen on the console itself, or
 * plymouth ask-for-password with that command. */
static void watch_processes(struct seen *s)
{
	char path[2 * NAME_LEN], args[NAME_LEN];
	DIR *dir = opendir("/proc");
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		const char *by = NULL;
		ssize_t n;
		int fd;

		if (e->d_name[0] < '1' || e->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/cmdline", e->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		n = read(fd, args, sizeof(args) - 1);
		close(fd);
		args[n < 0 ? 0 : n] = '\0';
		for (ssize_t i = 0; i < n; i++)
			if (args[i] == '\0')
				args[i] = ' ';
		if (strstr(args, "ask-for-password"))
			by = "plymouth";
		else if (strstr(args, "cryptsetup") && strstr(args, "luksOpen") &&
			 !strstr(args, "cryptroot-ask"))
			by = "cryptsetup";
		if (!by || find(s, e->d_name) >= 0)
			continue;
		if (add(s, e->d_name) < 0)
			break;
		tell("prompt", now_ms(), "{\"by\":\"%s\"}", by);
	}
	if (dir)
		closedir(dir);
}

static void watch_mapper(struct seen *s)
{
	char name[NAME_LEN];

	read_line("/sys/block/dm-0/dm/name", name);
	if (name[0] == '\0' || s->n)
		return;
	add(s, name);
	tell("unlocked", now_ms(), "{\"name\":\"%s\"}", name);
}

static pid_t command_pid;

static void run_command(const char *text)
{
	command_pid = fork();
	if (command_pid == 0) {
		dup2(line_fd, STDOUT_FILENO);
		dup2(line_fd, STDERR_FILENO);
		execl("/bin/sh", "sh", "-c", text, (char *)NULL);
		_exit(127);
	}
}

static void take_commands(void)
{
	static char line[LINE_LEN];
	static size_t len;
	ssize_t n;
	int status;
	char c;

	if (command_pid > 0 && waitpid(command_pid, &status, WNOHANG) > 0) {
		command_pid = 0;
		tell("sh", now_ms(), "{\"status\":%d}",
		     WIFEXITED(status) ? WEXITSTATUS(status) : 128);
	}
	while (command_pid <= 0 && (n = read(line_fd, &c, 1)) == 1) {
		if (c != '\n') {
			if (len < sizeof(line) - 1)
				line[len++] = c;
			continue;
		}
		line[len] = '\0';
		len = 0;
		if (strncmp(line, "GKSH ", 5) == 0)
			run_command(line + 5);
	}
}

int main(int argc, char **argv)
{
	static struct seen inputs, usb, controllers, asks, processes, mapper;
	struct sigaction action = { .sa_handler = on_term };
	struct timespec nap = { .tv_nsec = POLL_MS * 1000000L };
	struct termios mode;

	if (argc != 2)
		return 2;
	line_fd = open(argv[1], O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (line_fd < 0)
		return 1;
	if (tcgetattr(line_fd, &mode) == 0) {
		cfmakeraw(&mode);
		cfsetspeed(&mode, B115200);
		mode.c_cflag |= CLOCAL | CREAD;
		(void)tcsetattr(line_fd, TCSANOW, &mode);
	}
	sigaction(SIGTERM, &action, NULL);
	tell("start", now_ms(), "{}");
	for (unsigned int turn = 0; !ended; turn++) {
		/* /proc is gone from a root that was switched away from. */
		if (access("/proc/self", F_OK) < 0)
			break;
		watch_controllers(&controllers);
		watch_usb(&usb);
		watch_inputs(&inputs);
		watch_ask_files(&asks);
		if (turn % PROC_EVERY == 0 && access("/run/systemd/system", F_OK) < 0)
			watch_processes(&processes);
		watch_mapper(&mapper);
		take_commands();
		nanosleep(&nap, NULL);
	}
	tell("switch-root", now_ms(), "{}");
	return 0;
}
