# Sourced by the scripts that build things from Debian packages: fetching, unpacking, packing.
# Nothing of a package is ever installed on this machine. The caller sets $name (of the program, for
# messages), $cache (directory of packages), $parts (directory of its tables) and $work (a directory
# that it removes).
# shellcheck shell=bash
set -euo pipefail
shopt -s nullglob inherit_errexit
umask 022
export LC_ALL=C TZ=UTC PATH=$PATH:/usr/sbin:/sbin

# The time stamped on every file: the same input is to give the same bytes.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1700000000}

die() {
	echo "${name:?}: $*" >&2
	exit 1
}

say() {
	echo "${name:?}: $*"
}

need() {
	local tool
	for tool in "$@"; do
		command -v "$tool" >/dev/null || die "$tool is not installed; run 'make setup'"
	done
}

# Options for apt; firmware_source adds those of a private configuration.
apt_options=(-o APT::Sandbox::User=root)

# version PACKAGE: the candidate; empty when apt knows at most the name (as something that others
# mention).
version() {
	apt-cache "${apt_options[@]}" show --no-all-versions "$1" 2>/dev/null |
		sed -n 's/^Version: //p'
}

# fetch PACKAGE: prints the path of its .deb, from the cache when that holds the candidate version.
fetch() {
	local version file
	version=$(version "$1")
	[ -n "$version" ] || die "apt finds no package $1; run 'apt-get update'"
	version=${version//:/%3a}
	for file in "${cache:?}/${1}_${version}"_*.deb; do
		echo "$file"
		return
	done
	(cd "$cache" && apt-get "${apt_options[@]}" -qq download "$1" >&2) ||
		die "apt-get could not download $1 $version"
	for file in "${cache:?}/${1}_${version}"_*.deb; do
		echo "$file"
		return
	done
	die "apt-get downloaded $1, but not version $version"
}

# unpack PACKAGE DIR
unpack() {
	local deb
	deb=$(fetch "$1")
	mkdir -p "$2"
	dpkg-deb -x "$deb" "$2"
}

# The package that a kernel metapackage stands for.
kernel_package() {
	apt-cache depends --no-recommends --no-suggests "$1" |
		awk '$1 == "Depends:" && !done { print $2; done = 1 }'
}

# Entries of this machine's package sources for its own release, in deb822 and in one-line form:
# DIR/debian.sources, DIR/debian.list. Third parties' sources stay out. COMPONENTS replaces theirs.
debian_sources() {
	local dir=$1 components=$2 codename
	codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
	awk -v RS= -v suite="(^|\n)Suites:[^\n]*$codename" -v main='(^|\n)Components:[^\n]*main' \
		-v components="\nComponents: $components" '
		$0 ~ suite && $0 ~ main {
			gsub(/(^|\n)Components:[^\n]*/, components)
			print $0 "\n"
		}
	' /dev/null /etc/apt/sources.list.d/*.sources >"$dir/debian.sources"
	sed -nE "s/^(deb .* $codename(-updates|-security)?) +main.*/\1 $components/p" \
		/dev/null /etc/apt/sources.lis[t] /etc/apt/sources.list.d/*.list >"$dir/debian.list"
}

# table FILE: its lines without comments.
table() {
	grep -v '^#' "${parts:?}/$1"
}

# any_of FILE: one extended regular expression over module paths.
any_of() {
	echo "kernel/($(table "$1" | paste -sd '|'))\\.ko"
}

# wanted_modules FLAVOUR MODULEDIR: paths of the modules, dependencies included.
wanted_modules() {
	local drop=none
	if [ -e "${parts:?}/$1.drop" ]; then
		drop=$(any_of "$1.drop")
	fi
	cut -d: -f1 "$2/modules.dep" | grep -xE "$(any_of "$1.modules")" | grep -vxE "$drop" \
		>"${work:?}/modules.wanted"
	awk -F'[: ]+' '
		NR == FNR { want[$1]; next }
		$1 in want { for (i = 1; i <= NF; i++) if ($i != "") print $i }
	' "${work:?}/modules.wanted" "$2/modules.dep" | sort -u
}

# module_tree FLAVOUR KERNELTREE ROOT: modules stay uncompressed and signed. The archive as a whole
# compresses better than file by file, and a locked-down kernel loads only what carries its vendor's
# signature.
module_tree() {
	local version from=$2/lib/modules to
	version=$(basename "$from"/*)
	to=$3/usr/lib/modules/$version
	depmod -b "$2" "$version"
	wanted_modules "$1" "$from/$version" >"${work:?}/modules"
	mkdir -p "$to"
	(cd "$from/$version" && xargs cp --parents -t "$to" <"${work:?}/modules" &&
		cp modules.order modules.builtin modules.builtin.modinfo "$to")
	depmod -b "$3" "$version"
	# busybox reads the tables as text.
	rm -f "$to"/modules.*.bin "$to"/modules.{order,devname,softdep}
}

install_busybox() {
	local busybox applet
	unpack busybox-static "${work:?}/busybox"
	busybox=${work:?}/busybox/bin/busybox
	[ -x "$busybox" ] || busybox=${work:?}/busybox/usr/bin/busybox
	install -D -m 0755 "$busybox" "$1/usr/bin/busybox"
	for applet in $("$busybox" --list); do
		[ -e "$1/usr/bin/$applet" ] || ln -s busybox "$1/usr/bin/$applet"
	done
}

# pack ROOT: an initramfs of the tree on standard output. Same tree, same bytes: order, times,
# owners and inode numbers are fixed.
pack() {
	find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	(cd "$1" && find . -mindepth 1 -printf '%P\n' | sort |
		cpio --quiet -o -H newc -R 0:0 --reproducible)
}
