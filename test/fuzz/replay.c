/* A main() for fuzz targets without libFuzzer: feeds each file of the command line once. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int feed(const char *path)
{
	FILE *f = fopen(path, "rbe");
	if (!f) {
		perror(path);
		return 1;
	}
	enum { MAX = 1 << 20 };
	uint8_t *data = malloc(MAX);
	size_t size = data ? fread(data, 1, MAX, f) : 0;
	fclose(f);
	fprintf(stderr, "%s: %zu bytes\n", path, size);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 0;
}

int main(int argc, char **argv)
{
	int failed = 0;
	for (int i = 1; i < argc; i++)
		failed |= feed(argv[i]);
	return failed;
}
