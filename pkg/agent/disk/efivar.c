/* Boot#### variables: attributes, label and a device path, of which the hard drive node
 * (UEFI 10.3.5.1) and the file path node (10.3.5.4) matter here. Nodes of other kinds are skipped.
 * Pure. */

#include "agent/disk/efivar.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cursor.h"
#include "base/str.h"

enum {
	ATTRIBUTE_ACTIVE = 1,
	TYPE_MEDIA = 4,
	MEDIA_HARD_DRIVE = 1,
	MEDIA_FILE = 4,
	TYPE_END = 0x7f,
	HARD_DRIVE_SIZE = 42,
	FORMAT_MBR = 1,
	FORMAT_GPT = 2,
};

/* UTF-16LE until NUL or the end; what does not fit or is not ASCII is marked. */
static void read_text(struct cursor *c, char *out, size_t size)
{
	size_t n = 0;
	while (cursor_left(c) >= 2) {
		uint16_t unit = cursor_le16(c);
		if (unit == 0)
			break;
		if (n + 1 < size)
			out[n++] = (char)(unit < 0x80 ? unit : '?');
	}
	out[n] = '\0';
}

/* The signature is a GUID or four bytes of disk id; both are kept, `gpt` says which counts. */
static void read_hard_drive(struct cursor *c, struct efi_option *o)
{
	uint8_t signature[16] = { 0 };
	o->partition = cursor_le32(c);
	o->start = cursor_le64(c);
	o->sectors = cursor_le64(c);
	cursor_copy(c, signature, sizeof(signature));
	o->gpt = cursor_u8(c) == FORMAT_GPT;
	memcpy(o->id.b, signature, sizeof(signature));
	o->disk_id = signature[0] | (uint32_t)signature[1] << 8 | (uint32_t)signature[2] << 16 |
		     (uint32_t)signature[3] << 24;
}

/* Firmware pads and truncates paths: a bad length ends the walk, what was read so far counts. */
static void read_path(struct cursor *c, struct efi_option *o)
{
	while (cursor_left(c) >= 4) {
		uint8_t type = cursor_u8(c), subtype = cursor_u8(c);
		uint16_t len = cursor_le16(c);
		const uint8_t *body = len >= 4 ? cursor_bytes(c, (size_t)len - 4) : NULL;
		struct cursor node;
		if (!body || type == TYPE_END)
			return;
		cursor_init(&node, body, (size_t)len - 4);
		if (type == TYPE_MEDIA && subtype == MEDIA_HARD_DRIVE)
			read_hard_drive(&node, o);
		else if (type == TYPE_MEDIA && subtype == MEDIA_FILE)
			read_text(&node, o->path, sizeof(o->path));
	}
}

int efi_option_parse(const void *data, size_t len, struct efi_option *ret)
{
	struct cursor c;
	struct efi_option o = { 0 };
	cursor_init(&c, data, len);
	o.active = cursor_le32(&c) & ATTRIBUTE_ACTIVE;
	uint16_t path_len = cursor_le16(&c);
	read_text(&c, o.label, sizeof(o.label));
	const uint8_t *path = cursor_bytes(&c, path_len);
	if (!cursor_ok(&c))
		return -EINVAL;
	struct cursor p;
	cursor_init(&p, path, path_len);
	read_path(&p, &o);
	*ret = o;
	return 0;
}

static void write_text(struct wcursor *w, const char *s)
{
	for (; *s; s++)
		wcursor_le16(w, (uint8_t)*s);
	wcursor_le16(w, 0);
}

/* Loaders look for the partition by its signature; start and size must agree with the table. */
static void write_path(struct wcursor *w, const struct efi_option *o)
{
	uint8_t signature[16] = { (uint8_t)o->disk_id, (uint8_t)(o->disk_id >> 8),
				  (uint8_t)(o->disk_id >> 16), (uint8_t)(o->disk_id >> 24) };
	wcursor_u8(w, TYPE_MEDIA);
	wcursor_u8(w, MEDIA_HARD_DRIVE);
	wcursor_le16(w, HARD_DRIVE_SIZE);
	wcursor_le32(w, o->partition);
	wcursor_le64(w, o->start);
	wcursor_le64(w, o->sectors);
	wcursor_bytes(w, o->gpt ? o->id.b : signature, sizeof(signature));
	wcursor_u8(w, o->gpt ? FORMAT_GPT : FORMAT_MBR);
	wcursor_u8(w, o->gpt ? FORMAT_GPT : FORMAT_MBR); /* signature type: same numbers */
	wcursor_u8(w, TYPE_MEDIA);
	wcursor_u8(w, MEDIA_FILE);
	wcursor_le16(w, (uint16_t)(4 + 2 * (strlen(o->path) + 1)));
	write_text(w, o->path);
	wcursor_u8(w, TYPE_END);
	wcursor_u8(w, 0xff);
	wcursor_le16(w, 4);
}

size_t efi_option_encode(const struct efi_option *o, uint8_t out[EFI_OPTION_MAX])
{
	struct wcursor w, len;
	wcursor_init(&w, out, EFI_OPTION_MAX);
	wcursor_le32(&w, o->active ? ATTRIBUTE_ACTIVE : 0);
	wcursor_le16(&w, 0);
	write_text(&w, o->label);
	size_t start = w.pos;
	write_path(&w, o);
	wcursor_init(&len, out + 4, 2);
	wcursor_le16(&len, (uint16_t)(w.pos - start));
	return w.pos;
}

char *efi_option_describe(const struct efi_option *o, char *out, size_t size)
{
	char id[GPT_GUID_TEXT];
	size_t n = 0;
	out[0] = '\0';
	if (o->partition && o->gpt)
		snprintf(out, size, "HD(%u,GPT,%s,0x%llx,0x%llx)", o->partition,
			 gpt_guid_format(&o->id, id), (unsigned long long)o->start,
			 (unsigned long long)o->sectors);
	else if (o->partition)
		snprintf(out, size, "HD(%u,MBR,0x%x,0x%llx,0x%llx)", o->partition, o->disk_id,
			 (unsigned long long)o->start, (unsigned long long)o->sectors);
	n = strlen(out);
	if (o->path[0])
		snprintf(out + n, size - n, "%sFile(%s)", n ? "/" : "", o->path);
	return out;
}

/* --- CSV ------------------------------------------------------------------------------------- */

/* Distributions write UTF-16LE with a BOM; hand-made ones are often plain ASCII. */
static void csv_text(const void *data, size_t len, char *out, size_t size)
{
	const uint8_t *p = data;
	bool bom = len >= 2 && p[0] == 0xff && p[1] == 0xfe;
	bool wide = bom || (len >= 2 && p[1] == 0);
	if (wide) {
		struct cursor c;
		cursor_init(&c, p + (bom ? 2 : 0), len - (bom ? 2 : 0));
		read_text(&c, out, size);
		return;
	}
	size_t n = MIN(len, size - 1);
	memcpy(out, data, n);
	out[n] = '\0';
}

int efi_csv_parse(const void *data, size_t len, char file[EFI_PATH_MAX], char label[EFI_LABEL_MAX])
{
	char text[1024];
	csv_text(data, len, text, sizeof(text));
	text[strcspn(text, "\r\n")] = '\0';
	size_t file_len = strcspn(text, ",");
	const char *rest = text[file_len] ? text + file_len + 1 : "";
	size_t label_len = strcspn(rest, ",");
	if (file_len == 0 || file_len >= EFI_PATH_MAX || label_len == 0)
		return -EINVAL;
	label_len = MIN(label_len, (size_t)EFI_LABEL_MAX - 1);
	memcpy(file, text, file_len);
	file[file_len] = '\0';
	memcpy(label, rest, label_len);
	label[label_len] = '\0';
	return 0;
}
