/* The quirks of vendors, as far as they are known from their documents, from reports in public, and
 * from recordings. docs/bmc.md prints the table. Pure functions. any thread */

#include "bmc/redfish/quirks.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

/* clang-format off */
static const struct rf_quirk_row rows[] = {
	{ "Dell", NULL, NULL, NULL, "answers SYS518 to any method while it loads its data", "asked again, 10 times, after 3 s", RF_QUIRK_NONE },
	{ "Dell", NULL, NULL, NULL, "ExtendedInfo is an object, or holds texts", "both are read", RF_QUIRK_NONE },
	{ "Dell", NULL, NULL, NULL, "an old image stays inserted", "ejected before an insert", RF_QUIRK_NONE },
	{ "Dell", NULL, NULL, NULL, "virtual media fail with the eHTML5 console (4.40) and with an attach mode other than AutoAttach", "the message names the slot that took the image and stayed empty", RF_QUIRK_NONE },
	{ "Dell", NULL, NULL, NULL, "the target Cd means the drive in the case", "a virtual CD is chosen by an import of configuration", RF_QUIRK_DELL_CD },
	{ "Dell", NULL, NULL, NULL, "a change of the boot mode is a job, and the next change fails meanwhile", "the refusal is reported with its message id", RF_QUIRK_NONE },
	{ "Dell", NULL, NULL, NULL, "a new job is unknown (404) for some seconds", "asked again, 3 times, after 9 s", RF_QUIRK_NONE },
	{ "Dell", NULL, NULL, NULL, "iDRAC10: allowable targets and Enabled stand in the settings object only", "looked for in both", RF_QUIRK_NONE },
	{ "Dell", NULL, NULL, NULL, "iDRAC10: no HttpBootUri", "not sent where it is not offered", RF_QUIRK_NONE },
	{ "Dell", NULL, NULL, NULL, "iDRAC10: power on is a conflict (409) for some seconds after power off", "asked again, 6 times, after 9 s", RF_QUIRK_NONE },
	{ "Dell", NULL, NULL, NULL, "iDRAC10: the slot for a CD is named 1", "slots are recognized by their media types", RF_QUIRK_NONE },
	{ "Dell", NULL, NULL, NULL, "a volume cannot be deleted with an apply time (SYS029)", "deleted without one", RF_QUIRK_NONE },
	{ "HPE", NULL, NULL, NULL, "an eject needs an empty object as its body (415)", "repeated with one", RF_QUIRK_NONE },
	{ "HPE", NULL, NULL, NULL, "changes are refused while the host tests itself (UnableToModifyDuringSystemPOST)", "asked again, 6 times, after 3 to 30 s", RF_QUIRK_NONE },
	{ "HPE", NULL, NULL, NULL, "changes of power are refused right after another (InvalidOperationForSystemState)", "asked again, 6 times, after 3 to 30 s", RF_QUIRK_NONE },
	{ "HPE", NULL, NULL, NULL, "Gen10 Plus: only compressed answers (406)", "compression is asked for from then on", RF_QUIRK_NONE },
	{ "HPE", NULL, NULL, "1.40", "iLO 5: paths without a last slash are redirected (308)", "followed, with the same method", RF_QUIRK_NONE },
	{ "HPE", "Gen9", NULL, NULL, "no boot mode", "left as it is; a change of it is unsupported", RF_QUIRK_NONE },
	{ "HPE", NULL, NULL, NULL, "iLO 5: an update names no monitor", "the task is asked instead", RF_QUIRK_NONE },
	{ "HPE", "Gen12", NULL, NULL, "internal NICs have MACs (fa:...) that machines share", "left out of what becomes a port", RF_QUIRK_NONE },
	{ "HPE", NULL, NULL, NULL, "iLO 6: Redfish only", "old types of addresses are refused, with redfish as the type to use", RF_QUIRK_NONE },
	{ "HPE", NULL, NULL, NULL, "drives have no State", "counted as present", RF_QUIRK_NONE },
	{ "HPE", NULL, NULL, NULL, "virtual media by URL need an Advanced licence", "the refusal is reported with its message id", RF_QUIRK_NONE },
	{ "Supermicro", NULL, NULL, NULL, "refuses Inserted and WriteProtected in an insert", "not sent", RF_QUIRK_NONE },
	{ "Supermicro", NULL, NULL, NULL, "a virtual CD is the target UsbCd", "UsbCd is sent where it is allowed", RF_QUIRK_USB_CD },
	{ "Supermicro", "ARS-111GL-NHR", NULL, NULL, "a virtual CD is the target Cd", "Cd is sent", RF_QUIRK_NONE },
	{ "Supermicro", NULL, NULL, NULL, "a boot device without Enabled holds once only", "Enabled is always sent", RF_QUIRK_BOOT_ENABLED },
	{ "Supermicro", NULL, NULL, NULL, "the boot mode changes with the boot device", "read again, and written again", RF_QUIRK_MODE_FLIPS },
	{ "Supermicro", NULL, NULL, NULL, "Secure Boot and media need a licence (OemLicenseNotPassed)", "count as absent without it", RF_QUIRK_LICENSE },
	{ "Supermicro", NULL, NULL, NULL, "ImageName stays after an eject", "Inserted and ConnectedVia count", RF_QUIRK_IMAGE_STAYS },
	{ "Supermicro", "X10", NULL, NULL, "no boot mode", "left as it is; a change of it is unsupported", RF_QUIRK_NONE },
	{ "Supermicro", NULL, NULL, NULL, "by IPMI, the disk has the code 0x24 in UEFI", "the IPMI driver sends it", RF_QUIRK_NONE },
	{ "Supermicro", NULL, NULL, NULL, "older boards take images by SMB only", "the refusal is reported: boot from the network", RF_QUIRK_NONE },
	{ "Lenovo", NULL, NULL, NULL, "slots named RDOC take no URLs", "EXT and Remote are used", RF_QUIRK_EXT_SLOTS },
	{ "Lenovo", NULL, NULL, NULL, "inserts media by PATCH, and may require UserName and Password", "PATCH where there is no action; both are added when it asks for them", RF_QUIRK_NONE },
	{ "Lenovo", NULL, NULL, NULL, "ETags do not match (412) although nothing changed", "sent strong, then not at all", RF_QUIRK_NONE },
	{ "Lenovo", NULL, NULL, NULL, "a PATCH needs an ETag", "that of the last answer is sent, or fetched", RF_QUIRK_NONE },
	{ "Lenovo", NULL, NULL, NULL, "in UEFI, Hdd overrides the entry of the installed system", "no override is set instead", RF_QUIRK_UEFI_ORDER },
	{ "Lenovo", NULL, NULL, NULL, "TSM: boot device at Systems/Self/SD only, 503 while the host boots", "sent to the settings object; asked again", RF_QUIRK_NONE },
	{ "American Megatrends International", NULL, NULL, NULL, "target, Enabled and mode belong together", "all are always sent", RF_QUIRK_BOOT_WHOLE },
	{ "AMI", NULL, NULL, NULL, "target, Enabled and mode belong together", "all are always sent", RF_QUIRK_BOOT_WHOLE },
	{ "ASRockRack", NULL, NULL, NULL, "target, Enabled and mode belong together", "all are always sent", RF_QUIRK_BOOT_WHOLE },
	{ "GIGABYTE", NULL, NULL, NULL, "target, Enabled and mode belong together", "all are always sent", RF_QUIRK_BOOT_WHOLE },
	{ "ASUS", NULL, NULL, NULL, "target, Enabled and mode belong together", "all are always sent", RF_QUIRK_BOOT_WHOLE },
	{ "Quanta", NULL, NULL, NULL, "target, Enabled and mode belong together", "all are always sent", RF_QUIRK_BOOT_WHOLE },
	{ "GIGABYTE", NULL, NULL, NULL, "no link to the pending firmware settings", "Bios/SD is tried", RF_QUIRK_BIOS_SD },
	{ "GIGABYTE", NULL, NULL, NULL, "remote media are switched off", "switched on by EnableRMedia first", RF_QUIRK_ENABLE_MEDIA },
	{ "American Megatrends International", NULL, NULL, NULL, "remote media are switched off", "switched on by EnableRMedia first", RF_QUIRK_ENABLE_MEDIA },
	{ "AMI", NULL, NULL, NULL, "remote media are switched off", "switched on by EnableRMedia first", RF_QUIRK_ENABLE_MEDIA },
	{ "FUJITSU", NULL, NULL, NULL, "iRMC S6 from 2.00 on: IPMI over LAN is off", "use redfish", RF_QUIRK_NONE },
	{ "FUJITSU", NULL, NULL, NULL, "a PATCH needs an ETag", "that of the last answer is sent, or fetched", RF_QUIRK_NONE },
	{ "FUJITSU", NULL, NULL, NULL, "the number of slots for media may be 0", "the message says that there are none", RF_QUIRK_NONE },
	{ "Cisco", NULL, NULL, NULL, "a DVD is its only kind of medium", "DVD counts as CD", RF_QUIRK_NONE },
	{ "Cisco", NULL, NULL, NULL, "the slot for a CD refuses (400)", "the next one is tried", RF_QUIRK_NONE },
	{ "Cisco", NULL, NULL, NULL, "no EthernetInterfaces", "no NICs, and no error", RF_QUIRK_NONE },
	{ "Cisco", "C845A", NULL, NULL, "slots without InsertMedia, or that answer 405", "the next one is tried", RF_QUIRK_NONE },
	{ "Huawei", NULL, NULL, NULL, "Links.Managers in place of ManagedBy", "both are read", RF_QUIRK_NONE },
	{ "Huawei", NULL, NULL, NULL, "virtual media by an action of its own", "VmmControl is used where InsertMedia is missing", RF_QUIRK_VMM_CONTROL },
	{ "xFusion", NULL, NULL, NULL, "virtual media by an action of its own", "VmmControl is used where InsertMedia is missing", RF_QUIRK_VMM_CONTROL },
	{ "NVIDIA", NULL, NULL, NULL, "several systems, some that cannot be booted", "the only one with Reset and Boot is taken; else the message names them", RF_QUIRK_NONE },
	{ "NVIDIA", NULL, NULL, NULL, "an insert wants TransferProtocolType, TransferMethod, UserName", "added as it asks for them", RF_QUIRK_NONE },
	{ "NVIDIA", NULL, NULL, NULL, "restricted $expand, wrong states of sensors", "$expand is not used; absent sensors raise no alarm", RF_QUIRK_NONE },
	{ "OpenBMC", NULL, NULL, NULL, "some slots take no URL, or HTTPS only", "the next one is tried", RF_QUIRK_NONE },
	{ "", NULL, NULL, NULL, "ARM servers boot in UEFI only", "the mode is sent only where it would change", RF_QUIRK_NONE },
	{ "", NULL, NULL, NULL, "a PATCH of Boot without If-Match is refused (412, 428)", "the ETag of the last answer is sent, or fetched", RF_QUIRK_NONE },
	{ "", NULL, NULL, NULL, "the ETag's quotation marks are doubled", "made single", RF_QUIRK_NONE },
	{ "", NULL, NULL, NULL, "Links.ManagedBy is missing (emulators)", "only what needs the manager is unsupported", RF_QUIRK_NONE },
	{ NULL, NULL, NULL, NULL, NULL, NULL, RF_QUIRK_NONE },
};
/* clang-format on */

const struct rf_quirk_row *rf_quirk_rows(void)
{
	return rows;
}

/* The next number of a text; false: none is left. */
static bool next_number(const char **text, unsigned long *ret)
{
	while (**text && !isdigit((unsigned char)**text))
		(*text)++;
	if (!**text)
		return false;
	char *end;
	*ret = strtoul(*text, &end, 10);
	*text = end;
	return true;
}

int rf_version_compare(const char *a, const char *b)
{
	for (;;) {
		unsigned long x = 0, y = 0;
		bool more_a = next_number(&a, &x), more_b = next_number(&b, &y);
		if (!more_a && !more_b)
			return 0;
		if (x != y)
			return x < y ? -1 : 1;
	}
}

static bool fits(const struct rf_quirk_row *r, const char *vendor, const char *model,
		 const char *firmware)
{
	if (strncasecmp(vendor, r->vendor, strlen(r->vendor)) != 0)
		return false;
	if (r->model && !strcasestr(model, r->model))
		return false;
	if ((r->from || r->before) && str_empty(firmware))
		return false;
	return (!r->from || rf_version_compare(firmware, r->from) >= 0) &&
	       (!r->before || rf_version_compare(firmware, r->before) < 0);
}

/* The one model of Supermicro that differs from the vendor's others. */
static bool excepted(const struct rf_quirk_row *r, const char *model)
{
	return r->quirk == RF_QUIRK_USB_CD && strcasestr(model, "ARS-111GL-NHR");
}

uint32_t rf_quirks_of(const char *vendor, const char *model, const char *firmware)
{
	uint32_t bits = 0;
	for (const struct rf_quirk_row *r = rows; r->vendor; r++)
		if (r->quirk && fits(r, vendor, model, firmware) && !excepted(r, model))
			bits |= 1U << r->quirk;
	return bits;
}
