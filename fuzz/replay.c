/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs a fuzz target once over each file of the directories and files that are named. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes;
	long size = -1;

	if (file && fseek(file, 0, SEEK_END) == 0)
		size = ftell(file);
	if (size < 0 || fseek(file, 0, SEEK_SET) < 0) {
		perror(path);
		if (file)
			(void)fclose(file);
		return -1;
	}
	/* As long as the input, so that a read behind it is found; malloc(0) may be NULL. */
	bytes = malloc((size_t)size + !size);
	if (!bytes || fread(bytes, 1, (size_t)size, file) != (size_t)size) {
		perror(path);
		free(bytes);
		(void)fclose(file);
		return -1;
	}
	(void)fclose(file);
	/* The one that crashes is the last one named. */
	printf("%s\n", path);
	(void)fflush(stdout);
	(void)LLVMFuzzerTestOneInput(bytes, (size_t)size);
	free(bytes);
	return 1;
}

/* How many files, or -1. */
static int replay(const char *path)
{
	struct dirent **entries;
	struct stat status;
	int count, files = 0;

	if (stat(path, &status) == 0 && !S_ISDIR(status.st_mode))
		return replay_file(path);
	count = scandir(path, &entries, NULL, alphasort);
	if (count < 0) {
		perror(path);
		return -1;
	}
	for (int i = 0; i < count; i++) {
		char inner[4096];
		int r = 0;

		(void)snprintf(inner, sizeof(inner), "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.' && files >= 0)
			r = replay_file(inner);
		files = r < 0 || files < 0 ? -1 : files + r;
		free(entries[i]);
	}
	free(entries);
	return files;
}

int main(int argc, char **argv)
{
	int total = 0;

	for (int i = 1; i < argc; i++) {
		int files = replay(argv[i]);

		if (files < 0)
			return EXIT_FAILURE;
		total += files;
	}
	if (!total) {
		fprintf(stderr, "%s: no inputs\n", argv[0]);
		return EXIT_FAILURE;
	}
	printf("%d inputs\n", total);
	return EXIT_SUCCESS;
}
