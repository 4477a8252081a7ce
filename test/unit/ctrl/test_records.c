/* Saves of records: the end waits for those that are under way, and for nothing else. */

#include "unit/kube/fake.h"

#include "ctrl/records.h"
#include "ctrl/resources.h"

#define PATH "/apis/ingot.dev/v1alpha1/namespaces/m/hostrecords"

struct fixture {
	struct fake *f;
	struct kube_informer *informer;
	struct records *r;
	unsigned saved, drained;
};

static int setup(void **state)
{
	struct fixture *x = xcalloc(1, sizeof(*x));
	x->f = fake_new(3, &(struct kube_client_options){ .qps = -1 });
	x->informer = kube_informer_new(
		x->f->client,
		&(struct kube_informer_options){ .watch = { .resource = &resource_record } });
	x->r = records_new(x->f->client, x->informer);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;
	records_free(x->r);
	kube_informer_free(x->informer);
	fake_free(x->f);
	free(x);
	return 0;
}

static void on_saved(void *data, const struct err *err)
{
	struct fixture *x = data;
	assert_null(err);
	assert_int_equal(x->drained, 0); /* the engine hears of it first */
	x->saved++;
}

static void on_drained(void *data)
{
	struct fixture *x = data;
	x->drained++;
	x->r = records_free(x->r); /* as the controller's end does */
}

static void save(struct fixture *x, const char *key)
{
	_cleanup_(json_freep) struct json *record = json_new_object();
	records_save(x->r, key, "uid", record, on_saved, x);
}

static void answer(struct fixture *x)
{
	fake_reply(fake_expect(x->f, "POST", PATH), 201,
		   "{\"metadata\":{\"namespace\":\"m\",\"name\":\"a\",\"resourceVersion\":\"2\"}}");
}

static void test_drain(void **state)
{
	struct fixture *x = *state;
	save(x, "m/a");
	save(x, "m/b");
	records_drain(x->r, on_drained, x);
	answer(x);
	fake_sleep(x->f, USEC_PER_MSEC);
	assert_int_equal(x->saved, 1);
	assert_int_equal(x->drained, 0);
	answer(x);
	fake_sleep(x->f, USEC_PER_MSEC);
	assert_int_equal(x->saved, 2);
	assert_int_equal(x->drained, 1);
}

static void test_nothing_to_drain(void **state)
{
	struct fixture *x = *state;
	records_drain(x->r, on_drained, x);
	assert_int_equal(x->drained, 0); /* not before the call has returned */
	fake_sleep(x->f, 1);
	assert_int_equal(x->drained, 1);
}

/* A server that does not answer: the end comes all the same, and nobody hears of the save. */
static void test_cut_off(void **state)
{
	struct fixture *x = *state;
	save(x, "m/a");
	records_drain(x->r, on_drained, x);
	fake_expect(x->f, "POST", PATH);
	x->r = records_free(x->r);
	fake_sleep(x->f, USEC_PER_MIN);
	assert_int_equal(x->saved + x->drained, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_drain),
		T(test_nothing_to_drain),
		T(test_cut_off),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
