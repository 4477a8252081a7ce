#pragma once
/* TFTP packets (RFC 1350) with the options blksize (RFC 2348), timeout and tsize (RFC 2349) and
 * windowsize (RFC 7440), negotiated by OACK (RFC 2347). Reading only: a write request decodes as
 * such and nothing more. any thread */

#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"

enum {
	TFTP_PORT = 69,
	TFTP_DATA_HEADER = 4,
	TFTP_BLOCK_DEFAULT = 512,
	TFTP_BLOCK_MIN = 8,
	TFTP_BLOCK_MAX = 65464,
	TFTP_REQUEST_MAX = 512, /* larger requests are refused (RFC 2347: at most 512) */
	TFTP_NAME_MAX = 256,
	TFTP_TEXT_MAX = 128, /* of an error; longer ones are cut */
};

enum tftp_op {
	TFTP_READ = 1,
	TFTP_WRITE = 2,
	TFTP_DATA = 3,
	TFTP_ACK = 4,
	TFTP_ERROR = 5,
	TFTP_OACK = 6,
};

enum tftp_error {
	TFTP_ERROR_OTHER = 0,
	TFTP_ERROR_NOT_FOUND = 1,
	TFTP_ERROR_ACCESS = 2,
	TFTP_ERROR_FULL = 3,
	TFTP_ERROR_ILLEGAL = 4,
	TFTP_ERROR_TID = 5,
	TFTP_ERROR_EXISTS = 6,
	TFTP_ERROR_USER = 7,
	TFTP_ERROR_OPTIONS = 8,
};

enum tftp_mode { TFTP_OCTET, TFTP_NETASCII, TFTP_MAIL, TFTP_MODE_UNKNOWN };

/* In a request: what the client wants; in an OACK: what we grant. A value that breaks its RFC's
 * range counts as not asked for, and so does an option that is not known here. */
struct tftp_options {
	bool has_blksize, has_tsize, has_timeout, has_windowsize;
	uint16_t blksize;
	uint16_t windowsize;
	uint8_t timeout_s;
	uint64_t tsize;
};

struct tftp_request {
	enum tftp_op op; /* TFTP_READ or TFTP_WRITE */
	char name[TFTP_NAME_MAX];
	enum tftp_mode mode;
	struct tftp_options options;
};

struct tftp_packet {
	enum tftp_op op;     /* all but requests */
	uint16_t block;	     /* DATA, ACK */
	const uint8_t *data; /* DATA: borrowed */
	size_t len;
	enum tftp_error error;	     /* ERROR */
	char text[TFTP_TEXT_MAX];    /* ERROR: printable ASCII, the rest as '?' */
	struct tftp_options options; /* OACK */
};

/* -EBADMSG: not a request; -EMSGSIZE: too long. */
int tftp_decode_request(const void *data, size_t len, struct tftp_request *ret);
/* -EBADMSG. */
int tftp_decode(const void *data, size_t len, struct tftp_packet *ret);

/* All return the number of bytes written, 0 when `cap` is too small. */
size_t tftp_encode_request(const struct tftp_request *r, void *out, size_t cap);
size_t tftp_encode_data(uint16_t block, const void *data, size_t len, void *out, size_t cap);
size_t tftp_encode_ack(uint16_t block, void *out, size_t cap);
size_t tftp_encode_oack(const struct tftp_options *o, void *out, size_t cap);
size_t tftp_encode_error(enum tftp_error error, const char *text, void *out, size_t cap);
