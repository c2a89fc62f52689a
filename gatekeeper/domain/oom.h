/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GK_DOMAIN_OOM_H
#define GK_DOMAIN_OOM_H

/* gk_oom_score: how soon this process and its children to come are killed when
 * memory runs out: -1000 (never) to 1000 (first); proc(5), oom_score_adj. */
void gk_oom_score(int score);

#endif
