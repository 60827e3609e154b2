#!/usr/bin/env bash
# Makes a folder with Chromium, chromedriver and two fonts from Debian's packages, with
# all their libraries, and prints its path. The tests of the page use it where the
# machine has no Chromium.
#
# Takes a minute, once; afterwards the folder is found in the cache. Needs no root and
# installs nothing.
set -euo pipefail
. "$(dirname "$0")/packages.sh"

begin "browser-1-$suite" bin
remedy="install chromium and chromium-driver with its package manager"
require_debian "$remedy"
make_work "$name"

say "downloading Chromium and chromedriver with their libraries (200 MB)"
fetch_lists
apt install --download-only --yes --no-install-recommends chromium chromium-driver \
  fontconfig-config fonts-inter fonts-jetbrains-mono
mkdir -p "$work/browser/bin" "$work/browser/root"
for package in "$work"/apt/archives/*.deb; do
  # The C library has to be that of the system's loader.
  case "${package##*/}" in
  libc6_* | libc-bin_*) continue ;;
  esac
  dpkg-deb --extract "$package" "$work/browser/root"
done

# Chromium starts itself again, so the system's loader runs it, with these libraries.
cat >"$work/browser/bin/chromium" <<'RUN'
#!/bin/sh
root="$(cd "${0%/*}/../root" && pwd)"
for folder in "$root"/usr/lib/*-linux-gnu; do
  LD_LIBRARY_PATH="$folder:$root/lib/${folder##*/}:$folder/nss:$folder/pulseaudio"
done
export LD_LIBRARY_PATH FONTCONFIG_FILE="$root/../fonts.conf"
case "${0##*/}" in
chromium) exec "$root/usr/lib/chromium/chromium" "$@" ;;
*) exec "$root/usr/bin/${0##*/}" "$@" ;;
esac
RUN
chmod +x "$work/browser/bin/chromium"
cp "$work/browser/bin/chromium" "$work/browser/bin/chromedriver"
for program in chromium chromedriver; do
  require_runs "$work/browser/bin/$program" "$remedy"
done

# The same fonts on every machine, so that screenshots are alike.
cat >"$work/browser/fonts.conf" <<FONTS
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>$folder/root/usr/share/fonts</dir>
  <cachedir>$folder/fonts</cachedir>
  <alias><family>system-ui</family><prefer><family>Inter</family></prefer></alias>
  <alias><family>sans-serif</family><prefer><family>Inter</family></prefer></alias>
  <alias><family>ui-monospace</family><prefer><family>JetBrains Mono</family></prefer></alias>
  <alias><family>monospace</family><prefer><family>JetBrains Mono</family></prefer></alias>
</fontconfig>
FONTS

finish "$work/browser"
