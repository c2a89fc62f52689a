/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How an answer begins that may be another one soon: what `gatekeeper handoff --wait`
 * asks again for. */
#ifndef GK_DOM0_ANSWERS_H
#define GK_DOM0_ANSWERS_H

#define GK_ANSWER_GOING_ON "a handoff is going on"
#define GK_ANSWER_NO_GATE "not now: the gate is neither up nor given up"

#endif
