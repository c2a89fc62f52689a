/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gatekeeper-pci: libxl, loaded and connected before anything is taken from anybody.
 * What xl needs for its start is half of what each of its calls takes, and during a
 * handoff nobody can type. gatekeeperd starts it, with a socket as fd 3, and kills it;
 * a step of the handoff gives it orders (order.h). It alone is linked with libxl, whose
 * ABI is that of one release of Xen: with another one it does not start, and xl is used.
 *
 * "ready" on standard output; what libxl says goes to standard error when it has failed.
 */
#include <errno.h>
#include <libxl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "handoff/order.h"

enum {
	ORDERS = 3,		/* the socket */
	SAID_MAX = 8192,
	QUANTUM_US = 100000,
	SHORT_WAITS = 20,	/* of an order; a tenth each */
};

static struct {
	xentoollog_logger logger;
	char said[SAID_MAX], last[200];
	size_t used;
} messages;

static unsigned waits;

/*
 * In libxl's place of libc's. It waits for pciback and the guest by looking at a node
 * in xenstore a hundred times with usleep(100 ms) in between (libxl__wait_for_backend);
 * when they are done right after such a look, the rest of that time is lost, and nobody
 * can type. So the first waits of an order are short; two seconds less patience than
 * libxl has by itself are no loss. No signal handler is ours, so it need not come back
 * early.
 */
int usleep(useconds_t us)
{
	struct timespec ts;

	if (us == QUANTUM_US && waits < SHORT_WAITS) {
		waits++;
		us /= 10;
	}
	ts.tv_sec = us / 1000000;
	ts.tv_nsec = (long)(us % 1000000) * 1000;
	return nanosleep(&ts, NULL);
}

__attribute__((format(printf, 5, 0)))
static void message(struct xentoollog_logger *l, xentoollog_level level, int err,
		    const char *context, const char *format, va_list ap)
{
	char text[160];
	int n;

	(void)l;
	if (level < XTL_WARN)
		return;
	(void)vsnprintf(text, sizeof(text), format, ap);
	(void)snprintf(messages.last, sizeof(messages.last), "%s%s%s",
		       text, err >= 0 ? ": " : "", err >= 0 ? strerror(err) : "");
	n = snprintf(messages.said + messages.used, sizeof(messages.said) - messages.used,
		     "%s: %s: %s\n", context == NULL ? "libxl" : context,
		     xtl_level_to_string(level), messages.last);
	if (n > 0 && (size_t)n < sizeof(messages.said) - messages.used)
		messages.used += (size_t)n;
	messages.said[messages.used] = '\0';
}

static void no_progress(struct xentoollog_logger *l, const char *context,
			const char *what, int percent, unsigned long done,
			unsigned long total)
{
	(void)l, (void)context, (void)what, (void)percent, (void)done, (void)total;
}

static void destroy_nothing(struct xentoollog_logger *l)
{
	(void)l;
}

/* As xl's pci-attach BDF,permissive=0,rdm_policy=relaxed does it, and its pci-detach. */
static int obey(libxl_ctx *ctx, const struct gk_order *o)
{
	libxl_device_pci pci;
	struct gk_pci_bdf bdf;
	int rc;

	if (o->what == GK_ORDER_PAUSE)
		return libxl_domain_pause(ctx, o->domid, NULL);
	if (gk_pci_bdf_parse(o->bdf, &bdf) != 0)
		return ERROR_INVAL;
	libxl_device_pci_init(&pci);
	pci.domain = bdf.domain;
	pci.bus = bdf.bus;
	pci.dev = bdf.dev;
	pci.func = bdf.fn;
	/* One function, not all of the device: libxlutil's bit for a BDF without '*'. */
	pci.vfunc_mask = 1;
	pci.permissive = false;
	pci.rdm_policy = LIBXL_RDM_RESERVE_POLICY_RELAXED;
	rc = o->what == GK_ORDER_ATTACH ? libxl_device_pci_add(ctx, o->domid, &pci, NULL) :
					  libxl_device_pci_remove(ctx, o->domid, &pci, NULL);
	libxl_device_pci_dispose(&pci);
	return rc;
}

/* Whoever gave the order does not wait longer, and must know that we are not at it. */
static int limit(uint32_t ms)
{
	struct itimerval t = { .it_value = { .tv_sec = ms / 1000,
					     .tv_usec = (ms % 1000) * 1000 } };

	return setitimer(ITIMER_REAL, &t, NULL);
}

static int serve(libxl_ctx *ctx, const struct gk_order *o)
{
	char answer[GK_ANSWER_MAX], reason[sizeof(messages.last) + 16];
	int rc;

	messages.used = waits = 0;
	messages.last[0] = messages.said[0] = '\0';
	if (limit(o->ms) < 0)
		return -1;
	rc = obey(ctx, o);
	(void)limit(0);
	if (rc != 0)
		fputs(messages.said, stderr);
	(void)snprintf(reason, sizeof(reason), "%d %s", rc, messages.last);
	gk_answer_text(o->number, rc == 0 ? NULL : reason, answer);
	return send(ORDERS, answer, strlen(answer), MSG_NOSIGNAL) < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
	char text[GK_ORDER_MAX];
	libxl_device_pci *assignable;
	libxl_ctx *ctx = NULL;
	struct gk_order o;
	sigset_t none;
	int count = 0;

	(void)argv;
	if (argc != 1) {
		fputs("usage: gatekeeper-pci (for gatekeeperd)\n", stderr);
		return 2;
	}
	/* What ends us at an order's limit. */
	(void)signal(SIGALRM, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	messages.logger = (xentoollog_logger){ .vmessage = message,
					       .progress = no_progress,
					       .destroy = destroy_nothing };
	if (libxl_ctx_alloc(&ctx, LIBXL_VERSION, 0, &messages.logger) != 0) {
		fprintf(stderr, "%slibxl cannot be used\n", messages.said);
		return 1;
	}
	/* A first question to xenstore and Xen: all that is loaded late is loaded now. */
	assignable = libxl_device_pci_assignable_list(ctx, &count);
	libxl_device_pci_assignable_list_free(assignable, count);
	puts("ready");
	(void)fflush(stdout);
	for (;;) {
		ssize_t n = recv(ORDERS, text, sizeof(text), MSG_TRUNC);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0;
		if ((size_t)n > sizeof(text) || gk_order_parse(text, (size_t)n, &o) != 0) {
			fputs("no order\n", stderr);
			return 1;
		}
		if (serve(ctx, &o) != 0)
			return 1;
	}
}
