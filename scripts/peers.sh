#!/usr/bin/env bash
# The programs the tests talk to and are judged by. Run by `make test`: as root on Debian or Ubuntu it installs
# what is missing; otherwise it prints the command, and the tests that need them are skipped.
set -euo pipefail

packages=()
need() { # PACKAGE FILE-OR-COMMAND
    [ -e "$2" ] || PATH="$PATH:/usr/sbin" command -v "$2" >/dev/null || packages+=("$1")
}
need dcmtk dcmsend
need dicom3tools dciodvfy
need libpixelmed-java /usr/share/java/pixelmed.jar
need default-jre-headless java
need orthanc Orthanc
need orthanc-dicomweb /usr/share/orthanc/plugins/libOrthancDicomWeb.so
need chromium chromium
need npm npm
[ ${#packages[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "Some tests will be skipped. To run them all: sudo apt-get install --no-install-recommends ${packages[*]}"
    exit 0
fi

echo "installing for the tests: ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
# Orthanc's package starts a server on every address; tests start their own, on loopback.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
fi
apt-get update -q
apt-get install -q -y --no-install-recommends "${packages[@]}"
if [[ " ${packages[*]} " == *" orthanc "* ]]; then
    # not started now, and not at the next boot either
    if [ -d /run/systemd/system ]; then
        systemctl disable --now orthanc
    elif command -v update-rc.d >/dev/null; then
        update-rc.d orthanc disable
    fi
fi
