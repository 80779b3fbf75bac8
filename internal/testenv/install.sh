#!/bin/sh
# Installs Debian packages for the tests, or says that this user cannot.
# usage: install.sh package…
set -eu

[ $# -gt 0 ] || exit 0
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then root=
elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then root='sudo -n'
else
	cat >&2 <<END
The tests need programs that are not installed, and this user cannot install them. Install them, then try again:
  Debian, Ubuntu   sudo apt-get install $*
  Fedora, macOS    dnf, brew: the same programs, partly by other names (redis for redis-server)
Or run \`go test ./...\`, which skips what needs them.
END
	exit 1
fi

# The tests start servers of their own: Debian shall start none, as it does for
# each server that it installs unless this file says 101.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap '$root rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' | $root tee "$policy" >/dev/null
	$root chmod 755 "$policy"
fi
echo "Installing $*, which the tests need."
$root apt-get update -q
$root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
