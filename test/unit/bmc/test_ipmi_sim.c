/* The IPMI driver against real ones: OpenIPMI's ipmi_sim, started here with its files in a
 * temporary directory and a shell script as its chassis. It speaks cipher suite 3 only, forgets the
 * persistent and the UEFI bit, and executes its chassis script inside its only thread. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macro.h"
#include "base/mem.h"
#include "base/str.h"
#include "bmc/ipmi/ipmi.h"
#include "unit/bmc/asking.h"

#define MSEC USEC_PER_MSEC

extern char **environ;

enum { FLEET = 40 };

struct sim {
	char *dir;
	uint16_t port;
	pid_t pid;
};

struct bench {
	struct asking a;
	struct bmc_driver *driver;
	struct sim sim;
	struct timer tick;
};

static const char emu[] = "mc_setbmc 0x20\n"
			  "mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\n"
			  "sel_enable 0x20 1000 0x0a\n"
			  "mc_enable 0x20\n";

static const char conf[] = "name \"node\"\n"
			   "set_working_mc 0x20\n"
			   "  startlan 1\n"
			   "    addr 127.0.0.1 %u\n"
			   "    priv_limit admin\n"
			   "    allowed_auths_callback none md2 md5 straight\n"
			   "    allowed_auths_user none md2 md5 straight\n"
			   "    allowed_auths_operator none md2 md5 straight\n"
			   "    allowed_auths_admin none md2 md5 straight\n"
			   "    guid a123456789abcdefa123456789abcdef\n"
			   "  endlan\n"
			   "  chassis_control \"%s/chassis\"\n"
			   "  user 2 true \"admin\" \"secret\" admin 10 none md2 md5 straight\n";

/* "slow" and "broken" are faults that a test wants of the BMC. */
static const char chassis[] = "#!/bin/sh\n"
			      "cd \"${0%/*}\" || exit 1\n"
			      "[ -e slow ] && sleep 0.2\n"
			      "[ -e broken ] && exit 1\n"
			      "case \"$1 $2\" in\n"
			      "'get power') echo \"power:$(cat power)\";;\n"
			      "'get boot') echo \"boot:$(cat boot)\";;\n"
			      "'set power') echo \"$3\" >power; echo \"power $3\" >>log;;\n"
			      "'set shutdown') echo 0 >power; echo shutdown >>log;;\n"
			      "'set boot') echo \"$3\" >boot; echo \"boot $3\" >>log;;\n"
			      "*) echo \"$2\" >>log;;\n"
			      "esac\n";

/* --- ipmi_sim -------------------------------------------------------------------------------- */

static bool have_sim(void)
{
	if (access("/usr/bin/ipmi_sim", X_OK) == 0)
		return true;
	printf("# skipped: /usr/bin/ipmi_sim is not installed (package openipmi)\n");
	return false;
}

static void write_file(const struct sim *s, const char *name, const char *text, mode_t mode)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", s->dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static char *read_file(const struct sim *s, const char *name, char buf[1024])
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", s->dir, name);
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(buf, 1, 1023, f) : 0;
	buf[n] = '\0';
	if (f)
		fclose(f);
	return buf;
}

static uint16_t free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static void spawn(struct sim *s)
{
	_cleanup_(freep) char *c = xasprintf("%s/node.conf", s->dir);
	_cleanup_(freep) char *e = xasprintf("%s/node.emu", s->dir);
	_cleanup_(freep) char *st = xasprintf("%s/state", s->dir);
	/* It must not outlive a test that is killed. */
	char *const argv[] = { "setpriv", "--pdeathsig", "KILL", "ipmi_sim", "-n", "-c",
			       c,	  "-f",		 e,	 "-s",	     st,   NULL };
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	assert_int_equal(posix_spawnp(&s->pid, "setpriv", &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
}

static void sim_start(struct sim *s)
{
	char dir[] = "/tmp/ingot-ipmi-XXXXXX";
	assert_non_null(mkdtemp(dir));
	s->dir = xstrdup(dir);
	s->port = free_port();
	_cleanup_(freep) char *state = xasprintf("%s/state", dir);
	mkdir(state, 0700);
	char *text = NULL;
	/* The format is a constant of this file. */
	assert_true(asprintf(&text, conf, s->port, dir) > 0);
	write_file(s, "node.conf", text, 0600);
	free(text);
	write_file(s, "node.emu", emu, 0600);
	write_file(s, "chassis", chassis, 0700);
	write_file(s, "power", "0\n", 0600);
	write_file(s, "boot", "none\n", 0600);
	spawn(s);
}

static void remove_tree(const char *dir)
{
	char *const argv[] = { "rm", "-rf", (char *)dir, NULL };
	pid_t pid;
	int status;
	if (posix_spawnp(&pid, "rm", NULL, NULL, argv, environ) == 0)
		waitpid(pid, &status, 0);
}

static void sim_stop(struct sim *s)
{
	int status;
	kill(s->pid, SIGKILL);
	waitpid(s->pid, &status, 0);
	remove_tree(s->dir);
	free(s->dir);
}

/* --- bench ----------------------------------------------------------------------------------- */

static void expect_power(struct bench *t, enum bmc_power power)
{
	get_power(&t->a);
	expect(&t->a, "ok ");
	assert_int_equal(t->a.last.power, power);
}

/* What the chassis was told. On a slow machine an answer is late, and the driver asks again: of the
 * same line in a row one counts, but for a reset, which is never repeated. */
static char *told(const struct sim *s, char buf[1024])
{
	char log[1024], *rest = NULL;
	const char *last = "";
	size_t n = 0;
	buf[0] = '\0';
	read_file(s, "log", log);
	for (char *line = strtok_r(log, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (!streq(line, last) || streq(line, "reset"))
			n += (size_t)snprintf(buf + n, 1024 - n, "%s\n", line);
		last = line;
	}
	return buf;
}

static void expect_log(struct bench *t, const char *want)
{
	char log[1024];
	assert_string_equal(told(&t->sim, log), want);
	write_file(&t->sim, "log", "", 0600);
}

static struct bmc *open_sim(struct bench *t, const struct sim *s, const char *user,
			    const char *password)
{
	struct bmc_address address;
	struct bmc_credentials c = { (char *)user, (char *)password };
	struct bmc_options options = { .breaker_failures = 1000 };
	struct bmc *bmc;
	_cleanup_(freep) char *text = xasprintf("ipmi://127.0.0.1:%u", s->port);
	assert_int_equal(bmc_address_parse(text, &address, NULL), 0);
	assert_int_equal(bmc_open(t->driver, &address, &c, &options, &bmc, NULL), 0);
	bmc_address_done(&address);
	return bmc;
}

static int setup(void **state)
{
	static const struct ipmi_options quick = { .session_gap = 1, .retransmit = 50 * MSEC };
	struct bench *t = xcalloc(1, sizeof(*t));
	*state = t;
	if (!have_sim())
		return 0;
	assert_int_equal(loop_new(&t->a.loop, NULL), 0);
	assert_int_equal(ipmi_driver_new(t->a.loop, &quick, &t->driver, NULL), 0);
	timer_init(&t->tick, t->a.loop, "tick", asking_stop, &t->a);
	sim_start(&t->sim);
	t->a.bmc = open_sim(t, &t->sim, "admin", "secret");
	/* It answers as soon as it is up; until then the driver repeats itself. */
	get_power(&t->a);
	expect(&t->a, "ok ");
	return 0;
}

static int teardown(void **state)
{
	struct bench *t = *state;
	if (t->a.loop) {
		bmc_close(t->a.bmc);
		if (t->a.waiting > 0)
			loop_run(t->a.loop);
		sim_stop(&t->sim);
		bmc_driver_free(t->driver);
		loop_free(t->a.loop);
	}
	free(t);
	return 0;
}

static struct bench *bench_of(void **state)
{
	struct bench *t = *state;
	if (!t->a.loop)
		skip();
	return t;
}

/* --- cases ----------------------------------------------------------------------------------- */

static void test_power(void **state)
{
	struct bench *t = bench_of(state);
	expect_power(t, BMC_POWER_OFF);
	act(&t->a, BMC_ACTION_ON);
	expect(&t->a, "ok ");
	expect_power(t, BMC_POWER_ON);
	expect_log(t, "power 1\n");
	act(&t->a, BMC_ACTION_RESET);
	expect(&t->a, "ok ");
	expect_log(t, "reset\n");
	act(&t->a, BMC_ACTION_SOFT);
	expect(&t->a, "ok ");
	expect_power(t, BMC_POWER_OFF);
	expect_log(t, "shutdown\n");
	act(&t->a, BMC_ACTION_ON);
	act(&t->a, BMC_ACTION_OFF);
	expect(&t->a, "ok ok ");
	expect_power(t, BMC_POWER_OFF);
	expect_log(t, "power 1\npower 0\n");
}

static void test_cycle(void **state)
{
	struct bench *t = bench_of(state);
	char log[1024];
	act(&t->a, BMC_ACTION_ON);
	act(&t->a, BMC_ACTION_CYCLE);
	expect(&t->a, "ok ok ");
	/* ipmi_sim looks once a second whether the power is off. */
	while (!streq(told(&t->sim, log), "power 1\npower 0\npower 1\n")) {
		timer_set_in(&t->tick, 50 * MSEC);
		loop_run(t->a.loop);
	}
	expect_power(t, BMC_POWER_ON);
}

static void check_boot(struct bench *t, enum bmc_device device, const char *name)
{
	char boot[1024];
	struct bmc_request set = { .op = BMC_OP_SET_BOOT };
	set.boot = (struct bmc_boot){ device, true, true, NULL };
	ask(&t->a, &set);
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_GET_BOOT });
	expect(&t->a, "ok ok ");
	assert_int_equal(t->a.last.boot.device, device);
	assert_string_equal(read_file(&t->sim, "boot", boot), name);
}

static void test_boot(void **state)
{
	struct bench *t = bench_of(state);
	check_boot(t, BMC_DEVICE_PXE, "pxe\n");
	check_boot(t, BMC_DEVICE_DISK, "default\n");
	check_boot(t, BMC_DEVICE_CDROM, "cdrom\n");
	check_boot(t, BMC_DEVICE_BIOS, "bios\n");
	check_boot(t, BMC_DEVICE_NONE, "none\n");
}

static void test_info(void **state)
{
	struct bench *t = bench_of(state);
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_GET_INFO });
	expect(&t->a, "ok ");
	assert_string_equal(t->a.last.info.vendor, "IANA 4753");
	assert_string_equal(t->a.last.info.product, "0x0f02");
	assert_string_equal(t->a.last.info.version, "9.08");
}

static void test_wrong_credentials(void **state)
{
	struct bench *t = bench_of(state);
	bmc_close(t->a.bmc);
	t->a.bmc = open_sim(t, &t->sim, "admin", "wrong");
	get_power(&t->a);
	expect(&t->a, "denied ");
	assert_non_null(strstr(t->a.last.err.text, "password of user \"admin\""));
	bmc_close(t->a.bmc);
	t->a.bmc = open_sim(t, &t->sim, "nobody", "secret");
	get_power(&t->a);
	expect(&t->a, "denied ");
	assert_non_null(strstr(t->a.last.err.text, "no user \"nobody\""));
	struct bmc_credentials good = { "admin", "secret" };
	assert_int_equal(bmc_set_credentials(t->a.bmc, &good, NULL), 0);
	expect_power(t, BMC_POWER_OFF);
}

static void test_stopped_and_continued(void **state)
{
	struct bench *t = bench_of(state);
	kill(t->sim.pid, SIGSTOP);
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_GET_POWER, .timeout = 300 * MSEC });
	expect(&t->a, "timeout ");
	assert_non_null(strstr(t->a.last.err.text, "does not answer IPMI"));
	get_power(&t->a);
	timer_set_in(&t->tick, 100 * MSEC);
	loop_run(t->a.loop);
	kill(t->sim.pid, SIGCONT);
	expect(&t->a, "ok ");
}

/* The BMC restarts and knows nothing of its session. */
static void test_restarted(void **state)
{
	struct bench *t = bench_of(state);
	int status;
	ask(&t->a,
	    &(struct bmc_request){ .op = BMC_OP_GET_POWER, .keep_session = 10 * USEC_PER_SEC });
	expect(&t->a, "ok ");
	kill(t->sim.pid, SIGKILL);
	waitpid(t->sim.pid, &status, 0);
	get_power(&t->a);
	timer_set_in(&t->tick, 100 * MSEC);
	loop_run(t->a.loop);
	spawn(&t->sim);
	expect(&t->a, "ok ");
}

static void test_slow_script(void **state)
{
	struct bench *t = bench_of(state);
	write_file(&t->sim, "slow", "", 0600);
	act(&t->a, BMC_ACTION_ON);
	expect(&t->a, "ok ");
	expect_power(t, BMC_POWER_ON);
	/* Repetitions queued up in the simulator: still one reset. */
	write_file(&t->sim, "log", "", 0600);
	act(&t->a, BMC_ACTION_RESET);
	expect(&t->a, "ok ");
	expect_power(t, BMC_POWER_ON);
	expect_log(t, "reset\n");
}

static void test_broken_script(void **state)
{
	struct bench *t = bench_of(state);
	write_file(&t->sim, "broken", "", 0600);
	act(&t->a, BMC_ACTION_ON);
	expect(&t->a, "io ");
	assert_non_null(strstr(t->a.last.err.text,
			       "refuses \"power on\" (Chassis Control): unspecified error"));
}

static void test_fleet(void **state)
{
	struct bench *t = bench_of(state);
	struct sim sims[FLEET];
	struct bmc *bmcs[FLEET], *own = t->a.bmc;
	for (int i = 0; i < FLEET; i++) {
		sim_start(&sims[i]);
		t->a.bmc = bmcs[i] = open_sim(t, &sims[i], "admin", "secret");
		ask(&t->a,
		    &(struct bmc_request){ .op = BMC_OP_SET_BOOT, .boot.device = BMC_DEVICE_PXE });
		ask(&t->a, &(struct bmc_request){ .op = BMC_OP_SET_POWER,
						  .action = BMC_ACTION_ON,
						  .after_success = true });
		get_power(&t->a);
	}
	loop_run(t->a.loop);
	unsigned good = 0;
	for (int i = 0; i < FLEET; i++) {
		char boot[1024], power[1024];
		good += streq(read_file(&sims[i], "power", power), "1\n") &&
			streq(read_file(&sims[i], "boot", boot), "pxe\n");
		bmc_close(bmcs[i]);
		sim_stop(&sims[i]);
	}
	assert_int_equal(good, FLEET);
	for (const char *c = t->a.trace; *c; c += 3)
		assert_memory_equal(c, "ok ", 3);
	assert_int_equal(strlen(t->a.trace), 3 * 3 * FLEET);
	t->a.bmc = own;
}

static int init(void **state)
{
	(void)state;
	return ipmi_global_init(NULL);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_power),
		CASE(test_cycle),
		CASE(test_boot),
		CASE(test_info),
		CASE(test_wrong_credentials),
		CASE(test_stopped_and_continued),
		CASE(test_restarted),
		CASE(test_slow_script),
		CASE(test_broken_script),
		CASE(test_fleet),
	};
	return cmocka_run_group_tests(tests, init, NULL);
}
