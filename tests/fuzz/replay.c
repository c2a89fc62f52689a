/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * replay FILE|FOLDER...: gives each file to the fuzz target it is linked with,
 * once. So a corpus is a regression test for any compiler and sanitizer, with
 * no libFuzzer. Exit status 1 if there was no input at all.
 */
#include <dirent.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

enum { INPUT_MAX = 1 << 20 };

static unsigned long count;

static int replay_file(const char *path)
{
	/* Exactly as many bytes as there are, so that ASan sees an overread. */
	uint8_t *buf = NULL;
	struct stat st;
	int ret = -1;
	FILE *f = fopen(path, "rb");

	if (!f || fstat(fileno(f), &st) || st.st_size > INPUT_MAX)
		goto out;
	buf = malloc(st.st_size ? (size_t)st.st_size : 1);
	if (!buf || fread(buf, 1, (size_t)st.st_size, f) != (size_t)st.st_size)
		goto out;
	(void)LLVMFuzzerTestOneInput(buf, (size_t)st.st_size);
	count++;
	ret = 0;
out:
	if (ret)
		perror(path);
	free(buf);
	if (f)
		fclose(f);
	return ret;
}

static int replay_folder(const char *path)
{
	struct dirent *e;
	int ret = 0;
	DIR *d = opendir(path);

	if (!d)
		return replay_file(path);
	while ((e = readdir(d))) {
		char name[PATH_MAX];
		int n = snprintf(name, sizeof(name), "%s/%s", path, e->d_name);

		if (e->d_name[0] == '.')
			continue;
		if (n < 0 || (size_t)n >= sizeof(name) || replay_file(name))
			ret = -1;
	}
	closedir(d);
	return ret;
}

int main(int argc, char **argv)
{
	int bad = 0;

	for (int i = 1; i < argc; i++)
		bad |= replay_folder(argv[i]);
	printf("%s: %lu inputs\n", argv[0], count);
	return bad || count == 0;
}
