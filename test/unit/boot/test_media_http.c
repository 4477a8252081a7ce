/* Boot media over HTTP and HTTPS, with curl: ranges, what nobody may know, restarts, and files that
 * change under it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "boot/media_http.h"
#include "crypt/crypt.h"
#include "unit/boot/lines.h"
#include "unit/boot/netns.h"

static const char capability[] = "0123456789abcdef0123456789abcdef";

struct world {
	struct loop *loop;
	struct web *web;
	struct web_server *server;
	struct media_http *http;
	struct media_set *set;
	struct media_image *image;
	struct crypt_pair ca, pair;
	bool tls;
	uint16_t port; /* 0: any */
	const char *peer;
	unsigned asked;
	char dir[40];
};

/* --- the world -------------------------------------------------------------------------------- */

static struct media_image *find(void *data, const char *cap, const char *peer)
{
	struct world *w = data;
	w->asked++;
	assert_int_equal(strlen(cap), MEDIA_CAPABILITY_SIZE - 1);
	return streq(cap, capability) && streq(peer, w->peer) ? media_image_ref(w->image) : NULL;
}

static const struct media_ops ops = { .find = find };

static void make_image(struct world *w)
{
	static const char archive[] = "archive of this host";
	struct err err = { 0 };
	_cleanup_(freep) char *kernel = xasprintf("%s/vmlinuz", w->dir);
	_cleanup_(freep) char *initramfs = xasprintf("%s/initramfs", w->dir);
	const struct media_paths paths = { kernel, initramfs, w->dir };
	w->image = media_image_unref(w->image);
	w->set = media_set_unref(w->set);
	if (media_set_open(&paths, &w->set, &err) < 0)
		fail_msg("%s", err.text);
	const struct media_spec spec = { w->set, "console=ttyS0", archive, sizeof(archive) };
	if (media_image_new(&spec, &w->image, &err) < 0)
		fail_msg("%s", err.text);
}

static void write_disc(const struct world *w)
{
	static uint8_t piece[65536];
	_cleanup_(freep) char *path = xasprintf("%s/disc.iso", w->dir);
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	ssize_t n;
	for (uint64_t at = 0; (n = media_image_read(w->image, at, piece, sizeof(piece))) > 0;
	     at += (uint64_t)n)
		assert_int_equal(fwrite(piece, 1, (size_t)n, f), n);
	assert_int_equal(n, 0);
	assert_int_equal(fclose(f), 0);
}

static void serve(struct world *w)
{
	struct err err = { 0 };
	w->http = media_http_new(w->loop, &ops, w);
	struct web_server_options o = { .name = "media",
					.address = "127.0.0.1",
					.port = w->port,
					.cert = w->tls ? w->pair.cert : NULL,
					.key = w->tls ? w->pair.key : NULL,
					.routes = media_http_routes(w->http) };
	if (web_new(&w->web, &err) < 0 || web_server_open(w->web, &o, &w->server, &err) < 0)
		fail_msg("%s", err.text);
	w->port = web_server_port(w->server);
}

static void stop(struct world *w)
{
	w->server = web_server_close(w->server);
	w->web = web_free(w->web);
	w->http = media_http_free(w->http);
}

static void certify(struct world *w)
{
	const usec_t y2040 = UINT64_C(2208988800) * USEC_PER_SEC;
	const char *const ips[] = { "127.0.0.1", NULL };
	struct crypt_cert_spec spec = {
		.common_name = "ca", .not_before = 1, .not_after = y2040, .is_ca = true
	};
	struct err err = { 0 };
	if (crypt_make_cert(&spec, NULL, &w->ca, &err) < 0)
		fail_msg("%s", err.text);
	spec = (struct crypt_cert_spec){ .common_name = "media",
					 .addresses = ips,
					 .not_before = 1,
					 .not_after = y2040,
					 .server = true };
	if (crypt_make_cert(&spec, &w->ca, &w->pair, &err) < 0)
		fail_msg("%s", err.text);
	_cleanup_(freep) char *path = xasprintf("%s/ca.pem", w->dir);
	FILE *f = fopen(path, "we");
	assert_true(f && fputs(w->ca.cert, f) >= 0 && fclose(f) == 0);
}

static int set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct err err = { 0 };
	*state = w;
	memcpy(w->dir, "/tmp/ingot-media-http-XXXXXX", 29);
	if (!mkdtemp(w->dir) || loop_new(&w->loop, &err) < 0)
		return -1;
	w->peer = "127.0.0.1";
	assert_true(run("cd %s && head -c 3000001 /dev/urandom >vmlinuz; "
			"head -c 7000003 /dev/urandom >initramfs; "
			"head -c 150000 /dev/urandom >bios.img; "
			"head -c 1474560 /dev/urandom >efi.img; "
			"head -c 512 /dev/urandom >mbr.img",
			w->dir));
	make_image(w);
	write_disc(w);
	serve(w);
	return 0;
}

static int set_up_tls(void **state)
{
	if (set_up(state) < 0)
		return -1;
	struct world *w = *state;
	certify(w);
	stop(w);
	w->tls = true;
	w->port = 0;
	serve(w);
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	stop(w);
	media_image_unref(w->image);
	media_set_unref(w->set);
	crypt_pair_release(&w->ca);
	crypt_pair_release(&w->pair);
	loop_free(w->loop);
	run("rm -rf %s", w->dir);
	free(w);
	return 0;
}

/* `script` is shell, in the directory of disc.iso; $URL is the medium's, $BASE its server's, get is
 * curl, field prints a header. */
static void sh(struct world *w, const char *script)
{
	_cleanup_(freep) char *command = xasprintf(
		"cd %s; BASE=%s://127.0.0.1:%u; URL=$BASE/b/%s.iso; set -e; "
		"get() { curl -sS --max-time 60 %s \"$@\"; }; "
		"status() { get -o /dev/null -w '%%{http_code}' \"$@\"; }; "
		"field() { n=$1; shift; get \"$@\" | tr -d '\\r' | grep -i \"^$n: \" | "
		"cut -d' ' -f2-; }; "
		"%s",
		w->dir, w->tls ? "https" : "http", w->port, capability,
		w->tls ? "--cacert ca.pem" : "", script);
	if (system("command -v curl >/dev/null") != 0) {
		print_message("skipped: curl is not installed\n");
		skip();
	}
	if (!run_command(w->loop, command))
		fail_msg("failed: %s", script);
}

/* --- reading ---------------------------------------------------------------------------------- */

static const char read_whole[] = "get -f $URL | cmp - disc.iso; size=$(stat -c %s disc.iso); "
				 "[ $(status -I $URL) = 200 ]; "
				 "[ $(field content-length -fI $URL) = $size ]; "
				 "[ $(field accept-ranges -fI $URL) = bytes ]; "
				 "[ $(field cache-control -fI $URL) = no-store ]";

/* They begin and end inside of what comes from memory, from files, and from between. */
static const char read_ranges[] =
	"size=$(stat -c %s disc.iso); "
	"for r in 0-0 0-511 32768-34815 1000-9000000 5000000-5000000 40000-1700000 "
	"$((size - 40000))-$((size - 1)); do from=${r%-*}; to=${r#*-}; "
	"dd if=disc.iso of=part bs=64K iflag=skip_bytes,count_bytes skip=$from "
	"count=$((to - from + 1)) 2>/dev/null; "
	"get -f -r $r -D head $URL | cmp - part; tr -d '\\r' <head >lines; "
	"grep -q '^HTTP/1.1 206 ' lines; grep -qix \"content-range: bytes $r/$size\" lines; "
	"grep -qix \"content-length: $((to - from + 1))\" lines; done; "
	"tail -c 77777 disc.iso >part; get -f -r -77777 $URL | cmp - part; "
	"tail -c +9000001 disc.iso >part; get -f -r 9000000-99999999999 $URL | cmp - part; "
	"[ $(status -r $size- $URL) = 416 ]; "
	"get -i -r $size- $URL | tr -d '\\r' | grep -qix \"content-range: bytes \\*/$size\"; "
	/* Several: the whole, as RFC 9110 allows. */
	"[ $(status -r 0-1,5-6 $URL) = 200 ]; [ $(status -I -r 0-1 $URL) = 200 ]; "
	"E=$(field etag -fI $URL); [ -n \"$E\" ]; "
	"[ $(status -r 5-9 -H \"If-Range: $E\" $URL) = 206 ]; "
	"[ $(status -r 5-9 -H 'If-Range: \"other\"' $URL) = 200 ]; "
	"[ $(status -r 5-9 -H 'If-Range: Wed, 21 Oct 2015 07:28:00 GMT' $URL) = 200 ]";

static void test_whole(void **state)
{
	sh(*state, read_whole);
}

static void test_ranges(void **state)
{
	sh(*state, read_ranges);
}

/* As a BMC reads for its host: sectors here and there, on one connection. */
static void test_sectors(void **state)
{
	struct world *w = *state;
	sh(w, "for n in $(seq 0 19 5700); do at=$((n * 2048)); "
	      "[ $n = 0 ] || echo next; echo \"url = $URL\"; echo \"range = $at-$((at + 2047))\"; "
	      "echo fail; [ ! -e ca.pem ] || echo 'cacert = ca.pem'; done >config; "
	      "for n in $(seq 0 19 5700); do dd if=disc.iso bs=2048 skip=$n count=1 2>/dev/null; "
	      "done >part; get -K config --stderr said -v | cmp - part; "
	      "[ $(grep -c '^* Connected to' said) = 1 ]");
}

/* --- what nobody may know --------------------------------------------------------------------- */

static void test_nothing_told(void **state)
{
	struct world *w = *state;
	static const char other[] = "fedcba9876543210fedcba9876543210";
	/* The same answer, byte by byte but for the date, as for what no route leads to. */
	sh(w,
	   "id=${URL##*/}; id=${id%.iso}; get -i $BASE/nothing | grep -vi '^date' >none; "
	   "same() { get --path-as-is -i \"$@\" | grep -vi '^date' >said; "
	   "sed '/^[Cc]onnection: close/d' none >a; sed '/^[Cc]onnection: close/d' said >b; "
	   "cmp a b; }; "
	   "for p in / /b /b/ /b/$id /b/$id.ISO /b/$id.iso/ /b/$id.iso.iso /b//$id.iso /B/$id.iso "
	   "/b/$(echo $id | tr a-f A-F).iso /b/${id%?}.iso /b/0$id.iso /b/%30${id#?}.iso "
	   "/x/../b/$id.iso; do same $BASE$p; done; "
	   "for m in POST PUT DELETE OPTIONS; do same -X $m -H 'Content-Length: 0' $URL; done");
	unsigned before = w->asked;
	_cleanup_(freep) char *script = xasprintf("[ $(status $BASE/b/%s.iso) = 404 ]", other);
	sh(w, script);
	assert_int_equal(w->asked, before + 1);
	w->peer = "192.0.2.9";
	sh(w, "[ $(status $URL) = 404 ]; [ $(status -I $URL) = 404 ]; "
	      "[ $(status -r 0-9 $URL) = 404 ]");
}

static bool told;

static void look_for_secret(void *data, enum log_level level, const char *line)
{
	(void)data, (void)level;
	told = told || strstr(line, capability);
}

static void test_not_logged(void **state)
{
	struct world *w = *state;
	told = false;
	log_set_level(LOG_DEBUG);
	log_set_sink(look_for_secret, NULL);
	sh(w, "[ $(status $URL) = 200 ]");
	w->peer = "192.0.2.9";
	sh(w, "[ $(status $URL) = 404 ]");
	log_set_sink(NULL, NULL);
	log_set_level(LOG_ERROR);
	assert_false(told);
}

static void test_path(void **state)
{
	(void)state;
	char cap[MEDIA_CAPABILITY_SIZE];
	_cleanup_(freep) char *path = media_http_path(capability);
	assert_string_equal(path, "/b/0123456789abcdef0123456789abcdef.iso");
	assert_int_equal(media_http_parse(path, cap), 0);
	assert_string_equal(cap, capability);
	assert_int_equal(media_http_parse("/b/0123456789abcdef.iso", cap), -ENOENT);
	assert_int_equal(media_http_parse("", cap), -ENOENT);
}

/* --- what happens in the middle of a read ----------------------------------------------------- */

/* Another process with the same files goes on where the first one was. */
static void test_restart(void **state)
{
	struct world *w = *state;
	sh(w, "get -f -r 0-4999999 -D head $URL >part");
	stop(w);
	make_image(w);
	serve(w);
	sh(w, "E=$(tr -d '\\r' <head | sed -n 's/^[Ee][Tt]ag: //p'); [ -n \"$E\" ]; "
	      "get -f -r 5000000- -H \"If-Range: $E\" -D head $URL >>part; "
	      "grep -q '^HTTP/1.1 206 ' head; cmp part disc.iso");
}

/* The image goes, as at an ejection, while it is read: what has begun is ended. */
static void test_released(void **state)
{
	struct world *w = *state;
	const char *script = "get -f --limit-rate 12M $URL -o part & "
			     "until [ -s part ]; do :; done; [ $(status $BASE/b/"
			     "00000000000000000000000000000000.iso) = 404 ]; wait $!; "
			     "cmp part disc.iso";
	sh(w, script);
	w->image = media_image_unref(w->image);
	w->set = media_set_unref(w->set);
	w->peer = "";
	sh(w, "[ $(status $URL) = 404 ]");
}

/* A file that is written to is not the one that was measured. */
static void test_spoilt(void **state)
{
	struct world *w = *state;
	struct lines lines;
	sh(w, "printf X | dd of=initramfs bs=1 seek=7 conv=notrunc 2>/dev/null");
	lines_begin(&lines, w->loop, "boot medium not served");
	sh(w, "[ $(status \"$URL?[1-20]\" | grep -o 500 | wc -l) = 20 ]");
	assert_true(lines_paced(&lines));
	make_image(w);
	sh(w, "[ $(status $URL) = 200 ]");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
#define TEST_TLS(fn)                                                                               \
	{                                                                                          \
#fn " (TLS)", fn, set_up_tls, tear_down, NULL                                      \
	}
	const struct CMUnitTest tests[] = {
		TEST(test_whole),	 TEST(test_ranges),	TEST(test_sectors),
		TEST_TLS(test_whole),	 TEST_TLS(test_ranges), TEST_TLS(test_sectors),
		TEST(test_nothing_told), TEST(test_not_logged), TEST(test_restart),
		TEST(test_released),	 TEST(test_spoilt),	cmocka_unit_test(test_path),
	};
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
