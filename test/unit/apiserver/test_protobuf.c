/* Protobuf bodies: what kubectl 1.32 and k8s.io/apimachinery 0.32 encode, against the JSON forms of
 * the same objects (without what the server drops); and what must be refused. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/front/protobuf.h"
#include "base/mem.h"
#include "base/str.h"
#include "json/json.h"

static const struct {
	const char *hex, *json;
} rows[] = {
	{ "6b3873000a0f0a02763112094e616d657370616365121b0a130a03666f6f12001a0022002a00"
	  "32003800420012001a020a001a002200",
	  "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"foo\""
	  "},\"spec\":{}}" },
	{ "6b3873000a0f0a0276311209436f6e6669674d617012280a120a02636d12001a0022002a0032"
	  "003800420012060a0161120131120a0a01621205636166c3a91a002200",
	  "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"cm\"}"
	  ",\"data\":{\"a\":\"1\",\"b\":\"café\"}}" },
	{ "6b3873000a0c0a027631120653656372657412390a110a017312001a0022002a003200380042"
	  "0012130a0870617373776f7264120768756e74657232120d0a0475736572120561646d696e1a"
	  "001a002200",
	  "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\"},\"d"
	  "ata\":{\"password\":\"aHVudGVyMg==\",\"user\":\"YWRtaW4=\"}}" },
	{ "6b3873000a0f0a0276311209436f6e6669674d617012b4010a9b010a016312001a016e22002a"
	  "0175320231373803420808a5ebdcca0610004a0808a5ebdcca06100050005a060a0161120162"
	  "62070a03782f791200620e0a017a1209636166c3a9202271226a120a014b1a016f22026f752a"
	  "027631300138006a110a024b321a026f3222036f75322a02763172026631720266328a011f0a"
	  "016d12065570646174651a0032084669656c647356313a040a027b7d420012060a016b120176"
	  "1a0a0a0362696e12030001ff20001a002200",
	  "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c\","
	  "\"namespace\":\"n\",\"uid\":\"u\",\"resourceVersion\":\"17\",\"generation\":3"
	  ",\"creationTimestamp\":\"2026-01-02T03:04:05Z\",\"deletionTimestamp\":\"2026"
	  "-01-02T03:04:05Z\",\"deletionGracePeriodSeconds\":0,\"labels\":{\"a\":\"b\"}"
	  ",\"annotations\":{\"x/y\":\"\",\"z\":\"café \\\"q\\\"\"},\"ownerReferences\""
	  ":[{\"apiVersion\":\"v1\",\"kind\":\"K\",\"name\":\"o\",\"uid\":\"ou\",\"cont"
	  "roller\":true,\"blockOwnerDeletion\":false},{\"apiVersion\":\"v1\",\"kind\":"
	  "\"K2\",\"name\":\"o2\",\"uid\":\"ou2\"}],\"finalizers\":[\"f1\",\"f2\"]},\"i"
	  "mmutable\":false,\"data\":{\"k\":\"v\"},\"binaryData\":{\"bin\":\"AAH/\"}}" },
	{ "6b3873000a0c0a0276311206536563726574122b0a120a001202672d1a0022002a0032003800"
	  "420012050a016512001a00220c0a0170120768756e746572321a002200",
	  "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"generateName\":\""
	  "g-\"},\"data\":{\"e\":\"\"},\"stringData\":{\"p\":\"hunter2\"}}" },
	{ "6b3873000a1f0a16636f6f7264696e6174696f6e2e6b38732e696f2f763112054c6561736512"
	  "320a120a016c12001a016e22002a00320038004200121c0a0010061a0908a5ebdcca0610f02e"
	  "220908a5ebdcca0610f02e28001a002200",
	  "{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{"
	  "\"name\":\"l\",\"namespace\":\"n\"},\"spec\":{\"holderIdentity\":\"\",\"leas"
	  "eDurationSeconds\":6,\"acquireTime\":\"2026-01-02T03:04:05.000006Z\",\"renew"
	  "Time\":\"2026-01-02T03:04:05.000006Z\",\"leaseTransitions\":0}}" },
	{ "6b3873000a0b0a02763112054576656e7412660a120a016512001a016e22002a003200380042"
	  "00121d0a0d426172654d6574616c486f737412016e1a016822002a0032003a001a015222016d"
	  "2a050a01631200320808a5ebdcca0610003a0808a5ebdcca06100040024a064e6f726d616c52"
	  "00620072007a001a002200",
	  "{\"apiVersion\":\"v1\",\"kind\":\"Event\",\"metadata\":{\"name\":\"e\",\"nam"
	  "espace\":\"n\"},\"involvedObject\":{\"kind\":\"BareMetalHost\",\"namespace\""
	  ":\"n\",\"name\":\"h\"},\"reason\":\"R\",\"message\":\"m\",\"source\":{\"comp"
	  "onent\":\"c\"},\"firstTimestamp\":\"2026-01-02T03:04:05Z\",\"lastTimestamp\""
	  ":\"2026-01-02T03:04:05Z\",\"count\":2,\"type\":\"Normal\"}" },
	{ "6b3873000a190a106576656e74732e6b38732e696f2f763112054576656e7412690a120a0165"
	  "12001a016e22002a00320038004200120908a5ebdcca0610f02e1a0d0802120908a5ebdcca06"
	  "10f02e220272632a0272693201613a015242100a014b12001a016822002a0032003a0052046e"
	  "6f74655a075761726e696e6762040a0012006a00720078001a002200",
	  "{\"apiVersion\":\"events.k8s.io/v1\",\"kind\":\"Event\",\"metadata\":{\"name"
	  "\":\"e\",\"namespace\":\"n\"},\"eventTime\":\"2026-01-02T03:04:05.000006Z\","
	  "\"series\":{\"count\":2,\"lastObservedTime\":\"2026-01-02T03:04:05.000006Z\""
	  "},\"reportingController\":\"rc\",\"reportingInstance\":\"ri\",\"action\":\"a"
	  "\",\"reason\":\"R\",\"regarding\":{\"kind\":\"K\",\"name\":\"h\"},\"note\":"
	  "\"note\",\"type\":\"Warning\",\"deprecatedSource\":{}}" },
	{ "6b3873000a130a027631120d44656c6574654f7074696f6e73121a080012051203752d31220a"
	  "4261636b67726f756e642a03416c6c1a002200",
	  "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"gracePeriodSeconds\":0,"
	  "\"preconditions\":{\"resourceVersion\":\"u-1\"},\"propagationPolicy\":\"Backg"
	  "round\",\"dryRun\":[\"All\"]}" },
	{ "6b3873000a320a17617574686f72697a6174696f6e2e6b38732e696f2f7631121753656c6653"
	  "75626a656374416363657373526576696577122f0a100a0012001a0022002a00320038004200"
	  "1211120f0a082f76657273696f6e12036765741a08080012001a0020001a002200",
	  "{\"apiVersion\":\"authorization.k8s.io/v1\",\"kind\":\"SelfSubjectA"
	  "ccessReview\",\"metadata\":{},\"spec\":{\"nonResourceAttributes\":{"
	  "\"path\":\"/version\",\"verb\":\"get\"}}}" },
	{ "6b3873000a320a17617574686f72697a6174696f6e2e6b38732e696f2f7631121753656c6653"
	  "75626a65637441636365737352657669657712430a100a0012001a0022002a00320038004200"
	  "12250a230a026e7312066372656174651a0022002a077365637265747332003a067374617475"
	  "731a08080012001a0020001a002200",
	  "{\"apiVersion\":\"authorization.k8s.io/v1\",\"kind\":\"SelfSubjectA"
	  "ccessReview\",\"metadata\":{},\"spec\":{\"resourceAttributes\":{\"na"
	  "mespace\":\"ns\",\"verb\":\"create\",\"resource\":\"secrets\",\"name\":"
	  "\"status\"}}}" },
	{ "6b3873000a310a17617574686f72697a6174696f6e2e6b38732e696f2f7631121653656c6653"
	  "75626a65637452756c6573526576696577121e0a100a0012001a0022002a0032003800420012"
	  "040a026e731a04180022001a002200",
	  "{\"apiVersion\":\"authorization.k8s.io/v1\",\"kind\":\"SelfSubjectR"
	  "ulesReview\",\"metadata\":{},\"spec\":{\"namespace\":\"ns\"}}" },
	{ "6b3873000a2d0a1861757468656e7469636174696f6e2e6b38732e696f2f7631121153656c66"
	  "5375626a656374526576696577121a0a100a0012001a0022002a0032003800420012060a040a"
	  "0012001a002200",
	  "{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"SelfSubject"
	  "Review\",\"metadata\":{}}" },
};

static struct strbuf from_hex(const char *hex)
{
	struct strbuf b = { 0 };
	size_t len = strlen(hex) / 2;
	strbuf_reserve(&b, len + 1);
	assert_int_equal(hex_decode(hex, b.data, len), 0);
	b.len = len;
	return b;
}

static void real_bodies(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(strbuf_done) struct strbuf body = from_hex(rows[i].hex), text = { 0 };
		_cleanup_(json_freep) struct json *got = NULL, *want = NULL;
		struct err err = { 0 };
		assert_int_equal(protobuf_to_json(body.data, body.len, &text), 0);
		if (json_parse(text.data, text.len, &got, &err) < 0)
			fail_msg("%s: %s", text.data, err.text);
		assert_int_equal(json_parse(rows[i].json, strlen(rows[i].json), &want, &err), 0);
		if (!json_equal(got, want))
			fail_msg("%s\nis not\n%s", text.data, rows[i].json);
	}
}

/* Every cut of every body: malformed or a smaller object, never a crash. */
static void cut_bodies(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(strbuf_done) struct strbuf body = from_hex(rows[i].hex);
		for (size_t len = 0; len < body.len; len++) {
			_cleanup_(freep) char *exact = xmemdup(body.data, len ? len : 1);
			_cleanup_(strbuf_done) struct strbuf text = { 0 };
			protobuf_to_json(exact, len, &text);
		}
	}
}

static void refused(void **state)
{
	static const struct {
		const char *hex;
		int r;
	} bad[] = {
		{ "", -EINVAL },
		{ "6b387300", -EINVAL },
		{ "6b387301", -EINVAL },
		{ "7b7d", -EINVAL },
		/* Pod */
		{ "6b3873000a090a0276311203506f641200", -EOPNOTSUPP },
		/* ConfigMap of group x/v1 */
		{ "6b3873000a110a04782f76311209436f6e6669674d6170", -EOPNOTSUPP },
		/* an encoding */
		{ "6b3873000a0f0a0276311209436f6e6669674d617012001a01671a0167", -EOPNOTSUPP },
		/* metadata beyond the end; a group; a varint of eleven bytes */
		{ "6b3873000a0f0a0276311209436f6e6669674d617012030a0501", -EINVAL },
		{ "6b3873000a0f0a0276311209436f6e6669674d617012020b0c", -EINVAL },
		{ "6b3873000a0f0a0276311209436f6e6669674d6170120c08ffffffffffffffffffffff",
		  -EINVAL },
		/* a NUL in a name */
		{ "6b3873000a0f0a0276311209436f6e6669674d617012050a030a0100", -EINVAL },
		/* a time with 2000000000 nanoseconds */
		{ "6b3873000a0f0a0276311209436f6e6669674d6170120a0a084206108094ebdc03", -EINVAL },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_(strbuf_done) struct strbuf body = from_hex(bad[i].hex), text = { 0 };
		int r = protobuf_to_json(body.data ? body.data : "", body.len, &text);
		if (r != bad[i].r)
			fail_msg("%s: %d, not %d", bad[i].hex, r, bad[i].r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(real_bodies),
		cmocka_unit_test(cut_bodies),
		cmocka_unit_test(refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
