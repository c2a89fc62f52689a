/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include "core/policy.h"
#include "core/session.h"

static const uint8_t nonce[GK_LINK_NONCE] = { 1, 2, 3 };

enum act {
	HELLO,	 /* a: 1 our nonce, 0 another */
	KEYBD,	 /* DEVICE a generation b: an admitted keyboard */
	PARTLY,	 /* DEVICE a generation b: a composite with a keyboard */
	STORAGE, /* DEVICE a generation b: refused */
	HUB,	 /* DEVICE a generation b */
	TOKEN,	 /* DEVICE a generation b: admitted, but as a smartcard */
	SECKEY,	 /* DEVICE a generation b: admitted as a FIDO key */
	BOTH,	 /* DEVICE a generation b: in part, as keyboard and FIDO key */
	FIDO,	 /* a generation b */
	GONE,	 /* a generation b */
	KEY,	 /* a generation b: code c, value d */
	QUIESCE, /* we sent it */
	QUIESCED,
	PING,
	LOG,
	LED,
	QUIESCE_FRAME,
	UNKNOWN,
	END,
};

struct step {
	enum act act;
	uint32_t a, b, c, d;
	int want;
};

static struct gk_frame frame(const struct step *s)
{
	struct gk_frame f;

	memset(&f, 0, sizeof(f));
	f.device = s->a;
	f.generation = s->b;
	switch (s->act) {
	case HELLO:
		f.type = GK_LINK_HELLO;
		f.device = 0;
		if (s->a)
			memcpy(f.u.hello.nonce, nonce, sizeof(nonce));
		break;
	case KEYBD:
	case PARTLY:
	case STORAGE:
	case HUB:
	case TOKEN:
	case SECKEY:
	case BOTH:
		f.type = GK_LINK_DEVICE;
		f.u.dev.verdict = s->act == STORAGE  ? GK_VERDICT_REFUSED
				  : s->act == HUB    ? GK_VERDICT_HUB
				  : s->act == PARTLY || s->act == BOTH ?
					  GK_VERDICT_PARTLY
						     : GK_VERDICT_ADMITTED;
		if (s->act == KEYBD || s->act == PARTLY)
			f.u.dev.granted = GK_ROLE_KEYBOARD;
		if (s->act == TOKEN)
			f.u.dev.granted = GK_ROLE_SMARTCARD;
		if (s->act == SECKEY)
			f.u.dev.granted = GK_ROLE_FIDO;
		if (s->act == BOTH)
			f.u.dev.granted = GK_ROLE_FIDO | GK_ROLE_KEYBOARD;
		break;
	case FIDO:
		f.type = GK_LINK_FIDO;
		break;
	case GONE:
		f.type = GK_LINK_GONE;
		break;
	case KEY:
		f.type = GK_LINK_KEY;
		f.u.key.code = (uint16_t)s->c;
		f.u.key.value = (uint8_t)s->d;
		break;
	case QUIESCED:
		f.type = GK_LINK_QUIESCED;
		break;
	case PING:
		f.type = GK_LINK_PING;
		break;
	case LOG:
		f.type = GK_LINK_LOG;
		break;
	case LED:
		f.type = GK_LINK_LED;
		break;
	case QUIESCE_FRAME:
		f.type = GK_LINK_QUIESCE;
		break;
	case UNKNOWN:
		f.type = (uint8_t)s->a;
		break;
	case QUIESCE:
	case END:
		break;
	}
	return f;
}

#define ORDER GK_ERR_ORDER
#define OPEN                         \
	{                            \
		HELLO, 1, 0, 0, 0, 0 \
	}

static const struct {
	const char *name;
	struct step step[12];
} scripts[] = {
	{ "typing",
	  { OPEN,
	    { KEYBD, 1, 1, 0, 0, 0 },
	    { KEY, 1, 1, 30, 1, 0 },
	    { KEY, 1, 1, 30, 0, 0 },
	    { KEY, 1, 1, 255, 1, 0 },
	    { KEY, 1, 1, 1, 1, 0 },
	    { GONE, 1, 1, 0, 0, 0 },
	    { END, 0, 0, 0, 0, 0 } } },
	{ "before the answer everything is dropped",
	  { { KEYBD, 1, 1, 0, 0, 1 },
	    { KEY, 1, 1, 30, 1, 1 },
	    { GONE, 7, 7, 0, 0, 1 },
	    { QUIESCED, 0, 0, 0, 0, 1 },
	    { PING, 0, 0, 0, 0, 1 },
	    { LOG, 0, 0, 0, 0, 1 },
	    { HELLO, 0, 0, 0, 0, 1 },
	    OPEN,
	    { KEY, 1, 1, 30, 1, ORDER },
	    { END, 0, 0, 0, 0, 0 } } },
	{ "a wrong type is an error even then",
	  { { LED, 1, 1, 0, 0, GK_ERR_DIRECTION },
	    { QUIESCE_FRAME, 0, 0, 0, 0, GK_ERR_DIRECTION },
	    { UNKNOWN, 0, 0, 0, 0, GK_ERR_TYPE },
	    { UNKNOWN, 10, 0, 0, 0, GK_ERR_DIRECTION },
	    { UNKNOWN, 11, 0, 0, 0, GK_ERR_DIRECTION },
	    { UNKNOWN, GK_LINK_MANIFEST, 0, 0, 0, GK_ERR_DIRECTION },
	    { UNKNOWN, 14, 0, 0, 0, GK_ERR_TYPE },
	    { UNKNOWN, 255, 0, 0, 0, GK_ERR_TYPE },
	    { END, 0, 0, 0, 0, 0 } } },
	{ "a wrong direction when open",
	  { OPEN,
	    { LED, 1, 1, 0, 0, GK_ERR_DIRECTION },
	    { QUIESCE_FRAME, 0, 0, 0, 0, GK_ERR_DIRECTION },
	    { UNKNOWN, 77, 0, 0, 0, GK_ERR_TYPE },
	    { END, 0, 0, 0, 0, 0 } } },
	{ "answered twice",
	  { OPEN, { HELLO, 1, 0, 0, 0, ORDER }, { END, 0, 0, 0, 0, 0 } } },
	{ "an older answer after ours",
	  { OPEN, { HELLO, 0, 0, 0, 0, ORDER }, { END, 0, 0, 0, 0, 0 } } },
	{ "key of a device never told of",
	  { OPEN, { KEY, 1, 1, 30, 1, ORDER }, { END, 0, 0, 0, 0, 0 } } },
	{ "key of a refused device",
	  { OPEN,
	    { STORAGE, 1, 1, 0, 0, 0 },
	    { KEY, 1, 1, 30, 1, ORDER },
	    { END, 0, 0, 0, 0, 0 } } },
	{ "key of a hub",
	  { OPEN,
	    { HUB, 1, 1, 0, 0, 0 },
	    { KEY, 1, 1, 30, 1, ORDER },
	    { END, 0, 0, 0, 0, 0 } } },
	{ "key of a smartcard",
	  { OPEN,
	    { TOKEN, 1, 1, 0, 0, 0 },
	    { KEY, 1, 1, 30, 1, ORDER },
	    { END, 0, 0, 0, 0, 0 } } },
	{ "key of a composite keyboard",
	  { OPEN,
	    { PARTLY, 1, 1, 0, 0, 0 },
	    { KEY, 1, 1, 30, 1, 0 },
	    { END, 0, 0, 0, 0, 0 } } },
	{ "key of an older generation",
	  { OPEN,
	    { KEYBD, 1, 1, 0, 0, 0 },
	    { KEYBD, 1, 2, 0, 0, 0 },
	    { KEY, 1, 1, 30, 1, ORDER },
	    { END, 0, 0, 0, 0, 0 } } },
	{ "key of a later generation",
	  { OPEN,
	    { KEYBD, 1, 1, 0, 0, 0 },
	    { KEY, 1, 2, 30, 1, ORDER },
	    { END, 0, 0, 0, 0, 0 } } },
	{ "key after gone",
	  { OPEN,
	    { KEYBD, 1, 1, 0, 0, 0 },
	    { GONE, 1, 1, 0, 0, 0 },
	    { KEY, 1, 1, 30, 1, ORDER },
	    { END, 0, 0, 0, 0, 0 } } },
	{ "key of device 0",
	  { OPEN, { KEY, 0, 0, 30, 1, ORDER }, { END, 0, 0, 0, 0, 0 } } },
	{ "packets of a FIDO key",
	  { OPEN,
	    { SECKEY, 1, 1, 0, 0, 0 },
	    { FIDO, 1, 1, 0, 0, 0 },
	    { FIDO, 1, 2, 0, 0, ORDER },
	    { FIDO, 2, 1, 0, 0, ORDER },
	    { KEY, 1, 1, 30, 1, ORDER },
	    { SECKEY, 1, 2, 0, 0, 0 },
	    { FIDO, 1, 1, 0, 0, ORDER },
	    { FIDO, 1, 2, 0, 0, 0 },
	    { GONE, 1, 2, 0, 0, 0 },
	    { FIDO, 1, 2, 0, 0, ORDER },
	    { END, 0, 0, 0, 0, 0 } } },
	{ "a FIDO key that types",
	  { OPEN,
	    { BOTH, 1, 1, 0, 0, 0 },
	    { FIDO, 1, 1, 0, 0, 0 },
	    { KEY, 1, 1, 30, 1, 0 },
	    { END, 0, 0, 0, 0, 0 } } },
	{ "packets of what is no FIDO key",
	  { OPEN,
	    { FIDO, 1, 1, 0, 0, ORDER },
	    { KEYBD, 1, 1, 0, 0, 0 },
	    { STORAGE, 2, 2, 0, 0, 0 },
	    { HUB, 3, 3, 0, 0, 0 },
	    { TOKEN, 4, 4, 0, 0, 0 },
	    { FIDO, 1, 1, 0, 0, ORDER },
	    { FIDO, 2, 2, 0, 0, ORDER },
	    { FIDO, 3, 3, 0, 0, ORDER },
	    { FIDO, 4, 4, 0, 0, ORDER },
	    { FIDO, 0, 0, 0, 0, ORDER },
	    { END, 0, 0, 0, 0, 0 } } },
	{ "packets before the answer and after QUIESCED",
	  { { FIDO, 1, 1, 0, 0, 1 },
	    OPEN,
	    { SECKEY, 1, 1, 0, 0, 0 },
	    { QUIESCE, 0, 0, 0, 0, 0 },
	    { FIDO, 1, 1, 0, 0, 0 },
	    { QUIESCED, 0, 0, 0, 0, 0 },
	    { FIDO, 1, 1, 0, 0, ORDER },
	    { END, 0, 0, 0, 0, 0 } } },
	{ "key values",
	  { OPEN,
	    { KEYBD, 1, 1, 0, 0, 0 },
	    { KEY, 1, 1, 0, 1, GK_ERR_VALUE },
	    { KEY, 1, 1, 256, 1, GK_ERR_VALUE },
	    { KEY, 1, 1, 65535, 1, GK_ERR_VALUE },
	    { KEY, 1, 1, 30, 2, GK_ERR_VALUE },
	    { END, 0, 0, 0, 0, 0 } } },
	{ "what changes nothing is dropped",
	  { OPEN,
	    { KEYBD, 1, 1, 0, 0, 0 },
	    { KEY, 1, 1, 30, 0, 1 },
	    { KEY, 1, 1, 30, 1, 0 },
	    { KEY, 1, 1, 30, 1, 1 },
	    { KEY, 1, 1, 30, 0, 0 },
	    { KEY, 1, 1, 30, 0, 1 },
	    { END, 0, 0, 0, 0, 0 } } },
	{ "a replaced device starts with no key down",
	  { OPEN,
	    { KEYBD, 1, 1, 0, 0, 0 },
	    { KEY, 1, 1, 30, 1, 0 },
	    { KEYBD, 1, 2, 0, 0, 0 },
	    { KEY, 1, 2, 30, 0, 1 },
	    { KEY, 1, 2, 30, 1, 0 },
	    { END, 0, 0, 0, 0, 0 } } },
	{ "replaced by something without a role",
	  { OPEN,
	    { KEYBD, 1, 1, 0, 0, 0 },
	    { STORAGE, 1, 2, 0, 0, 0 },
	    { KEY, 1, 2, 30, 1, ORDER },
	    { END, 0, 0, 0, 0, 0 } } },
	{ "generations only go up, for one id",
	  { OPEN,
	    { KEYBD, 1, 5, 0, 0, 0 },
	    { KEYBD, 1, 5, 0, 0, ORDER },
	    { KEYBD, 1, 4, 0, 0, ORDER },
	    { KEYBD, 1, 6, 0, 0, 0 },
	    { END, 0, 0, 0, 0, 0 } } },
	{ "generations only go up, over all ids",
	  { OPEN,
	    { KEYBD, 1, 5, 0, 0, 0 },
	    { KEYBD, 2, 5, 0, 0, ORDER },
	    { KEYBD, 2, 4, 0, 0, ORDER },
	    { KEYBD, 2, 9, 0, 0, 0 },
	    { END, 0, 0, 0, 0, 0 } } },
	{ "generations only go up, over a gone device",
	  { OPEN,
	    { KEYBD, 1, 5, 0, 0, 0 },
	    { GONE, 1, 5, 0, 0, 0 },
	    { KEYBD, 1, 5, 0, 0, ORDER },
	    { KEYBD, 1, 6, 0, 0, 0 },
	    { END, 0, 0, 0, 0, 0 } } },
	{ "the last generation there is",
	  { OPEN,
	    { KEYBD, 1, 0xffffffff, 0, 0, 0 },
	    { KEYBD, 2, 1, 0, 0, ORDER },
	    { KEYBD, 2, 0xffffffff, 0, 0, ORDER },
	    { END, 0, 0, 0, 0, 0 } } },
	{ "device or generation 0",
	  { OPEN,
	    { KEYBD, 0, 1, 0, 0, GK_ERR_VALUE },
	    { KEYBD, 1, 0, 0, 0, GK_ERR_VALUE },
	    { END, 0, 0, 0, 0, 0 } } },
	{ "gone without having been there",
	  { OPEN, { GONE, 1, 1, 0, 0, ORDER }, { END, 0, 0, 0, 0, 0 } } },
	{ "gone twice",
	  { OPEN,
	    { HUB, 1, 1, 0, 0, 0 },
	    { GONE, 1, 1, 0, 0, 0 },
	    { GONE, 1, 1, 0, 0, ORDER },
	    { END, 0, 0, 0, 0, 0 } } },
	{ "gone of another generation",
	  { OPEN,
	    { KEYBD, 1, 2, 0, 0, 0 },
	    { GONE, 1, 1, 0, 0, ORDER },
	    { GONE, 1, 3, 0, 0, ORDER },
	    { GONE, 1, 2, 0, 0, 0 },
	    { END, 0, 0, 0, 0, 0 } } },
	{ "gone of device 0",
	  { OPEN, { GONE, 0, 0, 0, 0, ORDER }, { END, 0, 0, 0, 0, 0 } } },
	{ "quiesced unasked",
	  { OPEN, { QUIESCED, 0, 0, 0, 0, ORDER }, { END, 0, 0, 0, 0, 0 } } },
	{ "what was under way when QUIESCE went out still counts",
	  { OPEN,
	    { KEYBD, 1, 1, 0, 0, 0 },
	    { QUIESCE, 0, 0, 0, 0, 0 },
	    { KEY, 1, 1, 30, 1, 0 },
	    { KEYBD, 2, 2, 0, 0, 0 },
	    { GONE, 1, 1, 0, 0, 0 },
	    { QUIESCED, 0, 0, 0, 0, 0 },
	    { PING, 0, 0, 0, 0, 0 },
	    { LOG, 0, 0, 0, 0, 0 },
	    { END, 0, 0, 0, 0, 0 } } },
	{ "after QUIESCED nothing but PING and LOG",
	  { OPEN,
	    { KEYBD, 1, 1, 0, 0, 0 },
	    { QUIESCE, 0, 0, 0, 0, 0 },
	    { QUIESCED, 0, 0, 0, 0, 0 },
	    { KEY, 1, 1, 30, 1, ORDER },
	    { GONE, 1, 1, 0, 0, ORDER },
	    { KEYBD, 2, 2, 0, 0, ORDER },
	    { QUIESCED, 0, 0, 0, 0, ORDER },
	    { HELLO, 1, 0, 0, 0, ORDER },
	    { PING, 0, 0, 0, 0, 0 },
	    { LOG, 0, 0, 0, 0, 0 },
	    { END, 0, 0, 0, 0, 0 } } },
};

static void in_and_out_of_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(scripts); i++) {
		struct gk_session s;

		gk_session_init(&s, nonce);
		for (size_t j = 0; j < COUNT(scripts[i].step); j++) {
			const struct step *st = &scripts[i].step[j];
			struct gk_frame f = frame(st);
			int got;

			if (st->act == END)
				break;
			if (st->act == QUIESCE) {
				gk_session_quiesce(&s);
				continue;
			}
			got = gk_session_frame(&s, &f, 1000);
			CHECK(got == st->want, "%s, step %zu: %d, not %d",
			      scripts[i].name, j, got, st->want);
		}
	}
}

static int feed(struct gk_session *s, uint64_t now, enum act act, uint32_t a, uint32_t b,
		uint32_t c, uint32_t d)
{
	struct step st = { act, a, b, c, d, 0 };
	struct gk_frame f = frame(&st);

	return gk_session_frame(s, &f, now);
}

static void slots(void **state)
{
	struct gk_session s;

	(void)state;
	gk_session_init(&s, nonce);
	assert_int_equal(feed(&s, 0, HELLO, 1, 0, 0, 0), 0);
	assert_null(gk_session_find(&s, 0));
	for (uint32_t id = 1; id <= GK_LINK_DEVICES; id++)
		assert_int_equal(feed(&s, 0, KEYBD, id * 7, id, 0, 0), 0);
	assert_int_equal(feed(&s, 0, KEYBD, 1000, 100, 0, 0), GK_ERR_LIMIT);
	/* An error changed nothing. */
	assert_int_equal(s.last_generation, GK_LINK_DEVICES);
	assert_null(gk_session_find(&s, 1000));
	/* A known id needs no new slot. */
	assert_int_equal(feed(&s, 0, HUB, 7, 101, 0, 0), 0);
	assert_int_equal(gk_session_find(&s, 7)->info.verdict, GK_VERDICT_HUB);
	assert_int_equal(feed(&s, 0, GONE, 14, 2, 0, 0), 0);
	assert_null(gk_session_find(&s, 14));
	assert_int_equal(feed(&s, 0, KEYBD, 1000, 102, 0, 0), 0);
	assert_int_equal(gk_session_find(&s, 1000)->generation, 102);
	assert_int_equal(feed(&s, 0, KEYBD, 1001, 103, 0, 0), GK_ERR_LIMIT);
}

static void who_holds_a_key(void **state)
{
	struct gk_session s;

	(void)state;
	gk_session_init(&s, nonce);
	(void)feed(&s, 0, HELLO, 1, 0, 0, 0);
	(void)feed(&s, 0, KEYBD, 1, 1, 0, 0);
	(void)feed(&s, 0, KEYBD, 2, 2, 0, 0);
	assert_false(gk_session_key_down(&s, 42, 0));
	(void)feed(&s, 0, KEY, 1, 1, 42, 1);
	assert_true(gk_session_key_down(&s, 42, 0));
	assert_true(gk_session_key_down(&s, 42, 2));
	assert_false(gk_session_key_down(&s, 42, 1));
	assert_false(gk_session_key_down(&s, 41, 0));
	assert_false(gk_session_key_down(&s, 43, 0));
	(void)feed(&s, 0, KEY, 2, 2, 42, 1);
	assert_true(gk_session_key_down(&s, 42, 1));
	(void)feed(&s, 0, GONE, 1, 1, 0, 0);
	assert_true(gk_session_key_down(&s, 42, 0));
	assert_false(gk_session_key_down(&s, 42, 2));
	(void)feed(&s, 0, KEY, 2, 2, 42, 0);
	assert_false(gk_session_key_down(&s, 42, 0));
	(void)feed(&s, 0, KEY, 2, 2, 255, 1);
	assert_true(gk_session_key_down(&s, 255, 0));
	assert_false(gk_session_key_down(&s, 256, 0));
	assert_false(gk_session_key_down(&s, 65535, 0));
}

/* Every code has its own bit. */
static void all_codes(void **state)
{
	struct gk_session s;

	(void)state;
	gk_session_init(&s, nonce);
	(void)feed(&s, 0, HELLO, 1, 0, 0, 0);
	(void)feed(&s, 0, KEYBD, 1, 1, 0, 0);
	for (uint32_t c = 1; c < 256; c++) {
		assert_int_equal(feed(&s, 0, KEY, 1, 1, c, 1), 0);
		for (uint16_t o = 1; o < 256; o++)
			assert_int_equal(gk_session_key_down(&s, o, 0), o <= c);
	}
}

static void floods(void **state)
{
	static const struct {
		enum act act;
		unsigned limit;
	} cases[] = {
		{ KEY, GK_SESSION_KEYS },
		{ FIDO, GK_SESSION_FIDO },
		{ PING, GK_SESSION_FRAMES - 2 },
		{ LOG, GK_SESSION_FRAMES - 2 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct gk_session s;
		uint64_t now = 5000;

		gk_session_init(&s, nonce);
		(void)feed(&s, now, HELLO, 1, 0, 0, 0);
		(void)feed(&s, now, BOTH, 1, 1, 0, 0);
		for (unsigned n = 0; n < cases[i].limit; n++)
			assert_int_equal(feed(&s, now + n / 100, cases[i].act, 1, 1, 30,
					      (n + 1) & 1),
					 0);
		assert_int_equal(feed(&s, now + 999, cases[i].act, 1, 1, 30, 1),
				 GK_ERR_LIMIT);
		/* The next window is free again. */
		assert_int_equal(feed(&s, now + 1000, cases[i].act, 1, 1, 30, 1), 0);
	}
}

/* Dropped frames count too: an unopened session is no way around the bound. */
static void a_flood_before_hello(void **state)
{
	struct gk_session s;

	(void)state;
	gk_session_init(&s, nonce);
	for (unsigned n = 0; n < GK_SESSION_FRAMES; n++)
		assert_int_equal(feed(&s, 1, PING, 0, 0, 0, 0), 1);
	assert_int_equal(feed(&s, 1, PING, 0, 0, 0, 0), GK_ERR_LIMIT);
}

static void a_clock_at_its_ends(void **state)
{
	static const uint64_t clocks[] = { UINT64_MAX, 0, UINT64_MAX - 1, 5, 4 };
	struct gk_session s;

	(void)state;
	gk_session_init(&s, nonce);
	(void)feed(&s, 0, HELLO, 1, 0, 0, 0);
	for (size_t i = 0; i < COUNT(clocks); i++)
		assert_int_equal(feed(&s, clocks[i], PING, 0, 0, 0, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_and_out_of_order),
		cmocka_unit_test(slots),
		cmocka_unit_test(who_holds_a_key),
		cmocka_unit_test(all_codes),
		cmocka_unit_test(floods),
		cmocka_unit_test(a_flood_before_hello),
		cmocka_unit_test(a_clock_at_its_ends),
	};

	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
