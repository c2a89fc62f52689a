/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "handoff/order.h"

static const char *const names[GK_ORDERS] = {
	[GK_ORDER_DETACH] = "detach",
	[GK_ORDER_ATTACH] = "attach",
	[GK_ORDER_PAUSE] = "pause",
};

const char *gk_order_name(enum gk_order_what what)
{
	return names[what];
}

/* The word at *at, without the space after it; 0: none, or too long. */
static int word(const char **at, char *w, size_t cap)
{
	size_t len = strcspn(*at, " ");

	if (len == 0 || len >= cap)
		return 0;
	memcpy(w, *at, len);
	w[len] = '\0';
	*at += len;
	if (**at == ' ')
		++*at;
	return 1;
}

/* 1..max; 0: none. */
static uint32_t number(const char **at, uint32_t max)
{
	char w[11];	/* "4294967295" */
	uint64_t n = 0;

	if (!word(at, w, sizeof(w)) || w[0] == '0')
		return 0;
	for (size_t i = 0; w[i] != '\0'; i++) {
		if (w[i] < '0' || w[i] > '9')
			return 0;
		n = n * 10 + (uint64_t)(w[i] - '0');
	}
	return n > max ? 0 : (uint32_t)n;
}

static int print(const struct gk_order *o, char text[GK_ORDER_MAX])
{
	int n = snprintf(text, GK_ORDER_MAX, "%u %u %s %u%s%s", o->number, o->ms,
			 names[o->what], o->domid, o->bdf[0] == '\0' ? "" : " ", o->bdf);

	return n < 0 || n >= GK_ORDER_MAX ? GK_ERR_VALUE : 0;
}

static int valid(const struct gk_order *o)
{
	struct gk_pci_bdf bdf;

	if (o->number == 0 || o->ms == 0 || o->ms > GK_ORDER_MS_MAX || o->domid == 0 ||
	    o->domid > GK_ORDER_DOMID_MAX)
		return 0;
	return o->what == GK_ORDER_PAUSE ? o->bdf[0] == '\0' :
					   gk_pci_bdf_parse(o->bdf, &bdf) == 0;
}

int gk_order_text(const struct gk_order *o, char text[GK_ORDER_MAX])
{
	return valid(o) ? print(o, text) : GK_ERR_VALUE;
}

int gk_order_parse(const char *text, size_t len, struct gk_order *o)
{
	char line[GK_ORDER_MAX], again[GK_ORDER_MAX], what[8];
	const char *at = line;

	memset(o, 0, sizeof(*o));
	if (len >= sizeof(line))
		return GK_ERR_VALUE;
	memcpy(line, text, len);
	line[len] = '\0';
	o->number = number(&at, UINT32_MAX);
	o->ms = number(&at, GK_ORDER_MS_MAX);
	if (!word(&at, what, sizeof(what)))
		return GK_ERR_VALUE;
	for (o->what = 0; o->what < GK_ORDERS; o->what++)
		if (strcmp(what, names[o->what]) == 0)
			break;
	if (o->what == GK_ORDERS)
		return GK_ERR_VALUE;
	o->domid = number(&at, GK_ORDER_DOMID_MAX);
	if (o->what != GK_ORDER_PAUSE && !word(&at, o->bdf, sizeof(o->bdf)))
		return GK_ERR_VALUE;
	/* Whatever else there was in it is not there now. */
	if (!valid(o) || print(o, again) != 0 || strlen(again) != len ||
	    memcmp(again, text, len) != 0)
		return GK_ERR_VALUE;
	return 0;
}

void gk_answer_text(uint32_t n, const char *failed, char text[GK_ANSWER_MAX])
{
	if (failed == NULL)
		(void)snprintf(text, GK_ANSWER_MAX, "%u ok", n);
	else
		(void)snprintf(text, GK_ANSWER_MAX, "%u failed %s", n, failed);
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

int gk_answer_parse(char text[GK_ANSWER_MAX], size_t len, uint32_t n,
		    const char **failed)
{
	static const char head[] = "failed ";
	const char *at = text;

	*failed = NULL;
	if (len >= GK_ANSWER_MAX || memchr(text, '\0', len) != NULL)
		return GK_ERR_VALUE;
	text[len] = '\0';
	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			return GK_ERR_VALUE;
	if (number(&at, UINT32_MAX) != n)
		return GK_ERR_ORDER;
	if (strcmp(at, "ok") == 0)
		return 0;
	if (strncmp(at, head, sizeof(head) - 1) != 0)
		return GK_ERR_VALUE;
	*failed = at + sizeof(head) - 1;
	return 0;
}
