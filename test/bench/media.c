/* Boot media without the rest of Ingot, for the bench and for the lab:
 *
 *   bench_media KERNEL INITRAMFS LOADERS CMDLINE ARCHIVE write FILE
 *   bench_media KERNEL INITRAMFS LOADERS CMDLINE ARCHIVE serve [CERT KEY]
 *
 * ARCHIVE is a file, or "-" for none. write makes the image a file. serve has it under one
 * capability on a free port of 127.0.0.1, prints a JSON object with the port and the path, and ends
 * when its standard input does. CERT and KEY are files: HTTPS. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "boot/media_http.h"

enum { PIECE = 1 << 16, FILE_MAX = 1 << 20, CONNECTIONS = 2000 };

static const char capability[] = "0123456789abcdef0123456789abcdef";

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "bench_media: %s: %s\n", what, why);
	exit(EXIT_FAILURE);
}

static _Noreturn void die_errno(const char *what)
{
	struct err err;
	err_set_errno(&err, errno, "cannot be used");
	die(what, err.text);
}

static char *slurp(const char *path, size_t *ret_len)
{
	char *text = xcalloc(1, FILE_MAX + 1);
	FILE *f = fopen(path, "re");
	if (!f)
		die_errno(path);
	*ret_len = fread(text, 1, FILE_MAX, f);
	fclose(f);
	return text;
}

static struct media_image *make(char **argv)
{
	const struct media_paths paths = { argv[1], argv[2], argv[3] };
	struct media_spec spec = { .cmdline = argv[4] };
	struct media_image *im;
	struct err err;
	_cleanup_(freep) char *archive = NULL;
	if (!streq(argv[5], "-"))
		archive = slurp(argv[5], &spec.archive_len);
	spec.archive = archive;
	if (media_set_open(&paths, &spec.set, &err) < 0 || media_image_new(&spec, &im, &err) < 0)
		die("image", err.text);
	media_set_unref(spec.set);
	return im;
}

static void write_file(const struct media_image *im, const char *path)
{
	static uint8_t piece[PIECE];
	FILE *f = fopen(path, "we");
	ssize_t n = 0;
	for (uint64_t at = 0; f && (n = media_image_read(im, at, piece, PIECE)) > 0;
	     at += (uint64_t)n)
		if (fwrite(piece, 1, (size_t)n, f) != (size_t)n)
			die_errno(path);
	if (!f || n < 0 || fclose(f) != 0)
		die_errno(path);
}

static struct media_image *find(void *data, const char *cap, const char *peer)
{
	return streq(cap, capability) && streq(peer, "127.0.0.1") ? media_image_ref(data) : NULL;
}

static void on_input(void *data, int events)
{
	char byte;
	(void)events;
	if (read(STDIN_FILENO, &byte, 1) <= 0)
		loop_stop(data);
}

static void serve(struct media_image *im, const char *cert, const char *key)
{
	static const struct media_ops ops = { .find = find };
	struct loop *loop;
	struct loop_io *input;
	struct web *web;
	struct web_server *server;
	struct err err;
	if (loop_new(&loop, &err) < 0 || web_new(&web, &err) < 0)
		die("start", err.text);
	struct media_http *http = media_http_new(loop, &ops, im);
	struct web_server_options o = { .name = "media",
					.address = "127.0.0.1",
					.cert = cert,
					.key = key,
					.routes = media_http_routes(http),
					.max_connections = CONNECTIONS,
					.share_percent = 100 };
	if (web_server_open(web, &o, &server, &err) < 0 ||
	    loop_io_open(loop, STDIN_FILENO, LOOP_READ, "input", on_input, loop, &input, &err) < 0)
		die("start", err.text);
	_cleanup_(freep) char *path = media_http_path(capability);
	printf("{\"port\": %u, \"path\": \"%s\", \"size\": %llu}\n", web_server_port(server), path,
	       (unsigned long long)media_image_size(im));
	fflush(stdout);
	loop_run(loop);
	loop_io_close(input);
	web_server_close(server);
	web_free(web);
	media_http_free(http);
	loop_free(loop);
}

int main(int argc, char **argv)
{
	size_t len;
	bool writes = argc == 8 && streq(argv[6], "write");
	if (!writes && !((argc == 7 || argc == 9) && streq(argv[6], "serve")))
		die("usage",
		    "KERNEL INITRAMFS LOADERS CMDLINE ARCHIVE write FILE | serve [CERT KEY]");
	struct media_image *im = make(argv);
	_cleanup_(freep) char *cert = argc == 9 ? slurp(argv[7], &len) : NULL;
	_cleanup_(freep) char *key = argc == 9 ? slurp(argv[8], &len) : NULL;
	if (writes)
		write_file(im, argv[7]);
	else
		serve(im, cert, key);
	media_image_unref(im);
	return 0;
}
