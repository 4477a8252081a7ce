/* Reading an image from servers as they are: mirrors and load balancers that name one file
 * differently, half an HTTP, and what cannot be reached. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "image_rig.h"

/* --- mirrors and load balancers --- */

/* One name, servers that call the same file differently: nothing is refused, and the checksum
 * decides. All is read once more, since what had come is not joined to what comes. */
static void test_etag_of_another_server(void **state)
{
	(void)state;
	struct job j = { .server = { .etag = "\"a\"",
				     .etag_later = "\"b\"",
				     .die_after = 5 * MIB,
				     .die_times = 1 } };
	expect_ok(&j, image, IMAGE_MIB * MIB);
	size_t len;
	if (!have("qemu-img"))
		return;
	assert_int_equal(shell("cd %s && qemu-img convert -O qcow2 raw qcow2", dir), 0);
	void *data = load("qcow2", &len);
	struct job k = { .disk_mib = IMAGE_MIB,
			 .server = { .etag = "\"a\"",
				     .etag_later = "\"b\"",
				     .die_after = 2 * MIB,
				     .die_times = 1 } };
	expect_ok(&k, data, len);
	free(data);
}

/* Another file under the same name: the checksum says so, not the validator. */
static void test_another_file_under_the_name(void **state)
{
	(void)state;
	char *other = xmalloc(IMAGE_MIB * MIB);
	memcpy(other, image, IMAGE_MIB * MIB);
	other[9 * MIB + 5] ^= 1;
	struct job j = { .server = { .etag = "\"a\"",
				     .etag_later = "\"b\"",
				     .die_after = 5 * MIB,
				     .die_times = 1 } };
	j.server.data = other;
	j.server.len = IMAGE_MIB * MIB;
	expect_error(&j, image, IMAGE_MIB * MIB, DISK_FAULT_CHECKSUM, "was expected");
	assert_not_bootable(&j);
	job_done(&j);
	free(other);
}

/* A redirector sends each request to another mirror. */
static void test_redirected_to_mirrors(void **state)
{
	(void)state;
	struct httpd mirrors[2] = { { .etag = "\"a\"", .die_after = 5 * MIB, .die_times = 1 },
				    { .etag = "\"b\"", .die_after = 4 * MIB, .die_times = 1 } };
	struct httpd door = { 0 };
	for (int i = 0; i < 2; i++) {
		mirrors[i].data = image;
		mirrors[i].len = IMAGE_MIB * MIB;
		httpd_start(&mirrors[i]);
		door.locations[i] = httpd_url(&mirrors[i], "image.bin");
	}
	httpd_start(&door);
	struct job j = { .url = httpd_url(&door, "image.bin") };
	assert_int_equal(write_image(&j, image, IMAGE_MIB * MIB), 0);
	assert_written(&j);
	/* No mirror was asked for another one's file, and nothing came twice. */
	assert_int_equal(atomic_load(&mirrors[0].pinned) + atomic_load(&mirrors[1].pinned), 0);
	assert_true(atomic_load(&mirrors[0].sent) + atomic_load(&mirrors[1].sent) <
		    (IMAGE_MIB + 1) * MIB);
	job_done(&j);
	httpd_stop(&door);
	for (int i = 0; i < 2; i++) {
		httpd_stop(&mirrors[i]);
		free((char *)door.locations[i]);
	}
}

/* 200 in answer to If-Range does not mean that Range is not known. */
static void test_if_range_is_not_known(void **state)
{
	(void)state;
	struct job j = { .server = { .etag = "\"a\"",
				     .pin_is_all = true,
				     .die_after = 5 * MIB + 77,
				     .die_times = 2 } };
	expect_ok(&j, image, IMAGE_MIB * MIB);
	assert_true(atomic_load(&j.server.pinned) > 0);
	size_t len;
	if (!have("qemu-img"))
		return;
	assert_int_equal(shell("cd %s && qemu-img convert -O qcow2 raw qcow2", dir), 0);
	void *data = load("qcow2", &len);
	struct job k = { .disk_mib = IMAGE_MIB, .server = { .etag = "\"a\"", .pin_is_all = true } };
	expect_ok(&k, data, len);
	free(data);
}

/* --- servers that cannot be reached --- */

static void test_small_file_and_strict_range(void **state)
{
	(void)state;
	size_t len;
	assert_int_equal(shell("cd %s && (head -c 1M raw; head -c 2M /dev/zero) | gzip >out", dir),
			 0);
	void *data = load("out", &len);
	assert_true(len < 200000);
	struct job j = { .server.strict_range = true };
	int r = write_image(&j, data, len);
	if (r < 0)
		fail_msg("%s", j.err.text);
	job_done(&j);
	free(data);
	/* Servers answer 416 to a range of an empty file. */
	struct job k = { .server.strict_range = true };
	k.server.data = "";
	expect_error(&k, "", 0, DISK_FAULT_IMAGE, "the image is empty");
	job_done(&k);
}

struct troubles {
	unsigned told, taken_back, attempts, last;
	char text[512];
};

static void note_trouble(void *data, unsigned attempt, unsigned attempts, const struct err *err)
{
	struct troubles *t = data;
	if (!err) {
		t->taken_back++;
		return;
	}
	assert_int_equal(attempt, t->last + 1);
	t->last = attempt;
	t->attempts = attempts;
	t->told++;
	snprintf(t->text, sizeof(t->text), "%s", err->text);
}

static void fetch_head(const char *url, struct troubles *t, struct err *err,
		       const struct http_tls *tls)
{
	const char *urls[] = { url, NULL };
	const struct disk_fetch_options o = { .urls = urls,
					      .retries = 3,
					      .connect_timeout = 5 * USEC_PER_SEC,
					      .retry_interval = 5 * USEC_PER_MSEC,
					      .tls = tls,
					      .trouble = note_trouble,
					      .trouble_data = t };
	struct disk_fetch *f = NULL;
	char buf[16];
	size_t len;
	assert_int_equal(disk_fetch_open(&o, &f, err), 0);
	(void)disk_fetch_range(f, 0, buf, sizeof(buf), &len, err);
	disk_fetch_close(f);
}

/* What cannot get better ends at once; what can is tried to the end, and told from the first. */
static void test_permanent_and_passing(void **state)
{
	(void)state;
	struct httpd plain = { .data = "x", .len = 1 }, loop = { 0 }, busy = { .status = 503 },
		     broken = {
			     .data = "0123456789abcdef", .len = 16, .status = 502, .fails_first = 2
		     };
	httpd_start(&plain);
	httpd_start(&loop);
	httpd_start(&busy);
	httpd_start(&broken);
	char *tls = xasprintf("https://127.0.0.1:%u/i", plain.port);
	loop.locations[0] = httpd_url(&loop, "i");
	char *busy_url = httpd_url(&busy, "i"), *broken_url = httpd_url(&broken, "i");
	const struct {
		const char *url, *says;
		unsigned told;
		bool passes;
	} rows[] = {
		{ tls, "does not speak TLS", 0, false },
		{ loop.locations[0], "more than 10 redirects", 0, false },
		{ "http://127.0.0.1:1/i", "connection refused", 3, false },
		{ "http://no-such-host.invalid/i", "is not known", 3, false },
		{ busy_url, "HTTP status 503", 3, false },
		{ broken_url, "HTTP status 502", 2, true },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct troubles t = { 0 };
		struct err err = { 0 };
		fetch_head(rows[i].url, &t, &err, NULL);
		if (t.told != rows[i].told ||
		    !strstr(rows[i].passes ? t.text : err.text, rows[i].says) ||
		    (err.kind == ERR_NONE) != rows[i].passes)
			fail_msg("%s: told %u: %s; %s", rows[i].url, t.told, t.text, err.text);
		assert_int_equal(t.taken_back, rows[i].passes);
		if (t.told)
			assert_int_equal(t.attempts, 4);
	}
	httpd_stop(&plain);
	httpd_stop(&loop);
	httpd_stop(&busy);
	httpd_stop(&broken);
	free(tls);
	free((char *)loop.locations[0]);
	free(busy_url);
	free(broken_url);
}

/* By openssl s_server, whose certificate nobody trusts. */
static void test_untrusted_certificate(void **state)
{
	(void)state;
	if (!have("openssl"))
		skip();
	int port = 20000 + (int)(getpid() % 10000);
	assert_int_equal(
		shell("cd %s && openssl req -x509 -newkey rsa:2048 -nodes -keyout k -out c -days 2 "
		      "-subj /CN=x 2>/dev/null && "
		      "(openssl s_server -quiet -accept 127.0.0.1:%d -key k -cert c -WWW >/dev/null 2>&1 & "
		      "echo $! >pid) && for i in $(seq 100); do "
		      "openssl s_client -connect 127.0.0.1:%d </dev/null >/dev/null 2>&1 && break; done",
		      dir, port, port),
		0);
	char *url = xasprintf("https://127.0.0.1:%d/raw", port);
	struct troubles t = { 0 };
	struct err err = { 0 };
	fetch_head(url, &t, &err, NULL);
	shell("kill $(cat %s/pid)", dir);
	if (t.told != 0 || !strstr(err.text, "is not trusted"))
		fail_msg("told %u: %s", t.told, err.text);
	free(url);
}

/* The sums file is as patiently asked for as the image. */
static void test_sums_file_comes_late(void **state)
{
	(void)state;
	char hex[DIGEST_HEX_MAX], text[256];
	digest_hex(DIGEST_SHA256, image, IMAGE_MIB * MIB, hex);
	snprintf(text, sizeof(text), "%s  image.bin\n", hex);
	struct httpd sums = { .status = 503, .fails_first = 5, .data = text, .len = strlen(text) };
	httpd_start(&sums);
	char *url = httpd_url(&sums, "SUMS");
	struct job j = { .options.sum.checksum = url };
	expect_ok(&j, image, IMAGE_MIB * MIB);
	assert_int_equal(atomic_load(&sums.requests), 6);
	httpd_stop(&sums);
	free(url);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_etag_of_another_server),
		cmocka_unit_test(test_another_file_under_the_name),
		cmocka_unit_test(test_redirected_to_mirrors),
		cmocka_unit_test(test_if_range_is_not_known),
		cmocka_unit_test(test_small_file_and_strict_range),
		cmocka_unit_test(test_permanent_and_passing),
		cmocka_unit_test(test_untrusted_certificate),
		cmocka_unit_test(test_sums_file_comes_late),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
