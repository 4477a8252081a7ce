/* Solicitations: the parser, and over real sockets who is answered. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/icmp6.h>

#include "base/log.h"
#include "base/mem.h"
#include "boot/router_advert.h"
#include "unit/boot/netns.h"
#include "unit/boot/solicit.h"

/* From the heap, so that ASan sees a read behind the end. */
static int parse(const void *data, size_t len, struct net_mac *ret)
{
	uint8_t *copy = malloc(len ? len : 1);
	memcpy(copy, data, len);
	int r = router_advert_parse(copy, len, ret);
	free(copy);
	return r;
}

static void test_parse(void **state)
{
	(void)state;
	struct net_mac mac;
	for (size_t len = 0; len < sizeof(solicitation); len++)
		assert_int_equal(parse(solicitation, len, &mac), -EBADMSG);
	assert_int_equal(parse(solicitation, sizeof(solicitation), &mac), 0);
	assert_memory_equal(mac.bytes, "\x52\x54\x00\x77\x00\x01", 6);
	/* Behind an option that is not known; of length 0, which would never end; of the wrong
	 * type. */
	uint8_t longer[sizeof(solicitation) + 16] = { 133, 0, 0, 0, 0, 0, 0, 0, 14, 2 };
	memcpy(longer + 24, solicitation + 8, 8);
	assert_int_equal(parse(longer, sizeof(longer), &mac), 0);
	longer[9] = 0;
	assert_int_equal(parse(longer, sizeof(longer), &mac), -EBADMSG);
	longer[9] = 255;
	assert_int_equal(parse(longer, sizeof(longer), &mac), -EBADMSG);
	longer[9] = 2;
	longer[0] = 134;
	assert_int_equal(parse(longer, sizeof(longer), &mac), -EBADMSG);
}

struct world {
	struct netns clients;
	struct loop *loop;
	struct router_advert *advert;
	int fd;
	ssize_t got;
	struct nd_router_advert answer;
};

/* The first MAC is not expected; the answer, of which there is one, is to the second's. */
static void ask(void *data)
{
	struct world *w = data;
	solicit(w->fd, 9);
	solicit(w->fd, 1);
	w->got = recv(w->fd, &w->answer, sizeof(w->answer), 0);
	if (w->got > 0 && recv(w->fd, &w->answer, sizeof(w->answer), MSG_DONTWAIT) >= 0)
		w->got = -2;
}

static void test_only_ipxe_is_answered(void **state)
{
	(void)state;
	struct world w = { 0 };
	struct err err = { 0 };
	struct net_mac mac = { { 0x52, 0x54, 0x00, 0x77, 0x00, 0x01 } };
	const char *why = netns_unusable();
	if (!why)
		why = solicit_unusable();
	if (why) {
		print_message("skipped: %s\n", why);
		skip();
	}
	assert_true(netns_pair(&w.clients));
	assert_true(solicit_wire_up(&w.clients));
	assert_int_equal(loop_new(&w.loop, &err), 0);
	struct boot_config config = { .device = "srv0" };
	struct boot_env env = { .loop = w.loop, .config = &config };
	assert_int_equal(router_advert_open(&env, &w.advert, &err), 0);
	w.fd = solicit_socket(&w.clients);
	router_advert_expect(w.advert, &mac);
	run_script(w.loop, ask, &w);
	assert_int_equal(w.got, sizeof(w.answer));
	/* Nothing is announced. */
	static const uint8_t nothing[12];
	assert_int_equal(w.answer.nd_ra_type, ND_ROUTER_ADVERT);
	assert_memory_equal((const uint8_t *)&w.answer + 4, nothing, sizeof(nothing));
	struct router_advert *none;
	config.device = "nosuch0";
	assert_true(router_advert_open(&env, &none, &err) < 0);
	assert_non_null(strstr(err.text, "nosuch0"));
	router_advert_close(w.advert);
	close(w.fd);
	loop_free(w.loop);
	netns_free(&w.clients);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_only_ipxe_is_answered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
