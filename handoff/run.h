/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work that may hang, done in a child process with a deadline: another program
 * (no shell), or a function whose system call may sleep where only a signal, or
 * not even one, ends it.
 */
#ifndef GK_RUN_H
#define GK_RUN_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

/*
 * gk_run: run argv[0], searched on PATH, with the arguments argv (ended by
 * NULL), and wait for it at most timeout_ms.
 *
 * The child has /dev/null as standard input, no other descriptor of ours, an
 * environment of PATH and LC_ALL=C only, default signal actions, and a process
 * group of its own, which is killed at the deadline. It dies with the thread
 * that called this. What it leaves running in another session (xl's monitor)
 * lives on and is not waited for.
 *
 * out: what it wrote to standard output and standard error, in order, cut off
 * at out_len - 1 bytes, NUL terminated; also filled when the call fails. The
 * rest is read and dropped, so a talkative program does not block. Bytes are
 * as they came, NUL included: gk_run_last_line() makes text to show of it.
 *
 * Returns the exit status (0..255; 127 if it could not be executed; 128 + N if
 * signal N ended it), or
 *   GK_ERR_TIMEOUT  it was killed at the deadline
 *   GK_ERR_SYSTEM   it could not be started or watched; errno says why
 *   GK_ERR_VALUE    argv is empty or out_len is 0
 */
int gk_run(const char *const argv[], unsigned int timeout_ms, char *out,
	   size_t out_len) GK_MUST_CHECK;

/*
 * gk_run_function: the same for a function of this program, called in a forked
 * child; what it returns (0..255) is the exit status. It must not return by any
 * other way, and only touch what is safe after a fork. A child that cannot be
 * killed, because it sleeps inside the kernel, is left behind after 2 s.
 */
int gk_run_function(int (*fn)(void *arg), void *arg, unsigned int timeout_ms,
		    char *out, size_t out_len) GK_MUST_CHECK;

/*
 * gk_run_last_line: the last line of out with something on it, as printable
 * ASCII (other bytes become '?'), into line; "" if there is none.
 */
void gk_run_last_line(const char *out, char *line, size_t line_len);

/* gk_run_now_ms: CLOCK_MONOTONIC in ms. */
uint64_t gk_run_now_ms(void);

/* gk_run_sleep_ms: sleep, a signal does not shorten it. */
void gk_run_sleep_ms(unsigned int ms);

#endif
