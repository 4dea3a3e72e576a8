#!/usr/bin/env bash
# The programs the tests talk to and are judged by. Run by `make test`: as root on Debian or Ubuntu it installs
# what is missing; otherwise it prints the command, and the tests that need them are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

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
need openssl openssl
need postgresql "$(compgen -G '/usr/lib/postgresql/*/bin/postgres' | head -1)"
need rsyslog rsyslogd
need rsyslog-openssl "$(compgen -G '/usr/lib/*/rsyslog/lmnsd_ossl.so' | head -1)"
need iproute2 ip
need chromium chromium
need npm npm
need r-base-core Rscript
need r-cran-proc /usr/lib/R/site-library/pROC

install_packages() {
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
    for service in orthanc rsyslog; do
        [[ " ${packages[*]} " == *" $service "* ]] || continue
        # not started now, and not at the next boot either
        if [ -d /run/systemd/system ]; then
            systemctl disable --now "$service"
        elif command -v update-rc.d >/dev/null; then
            update-rc.d "$service" disable
        fi
    done
}

# OHIF comes ready built from npm; its folder appears whole or not at all (tests/support_ohif.py names it too).
ohif=3.13.2
install_ohif() {
    local work
    [ ! -d ".peers/ohif-$ohif" ] || return 0
    echo "fetching OHIF $ohif for the tests (50 MB)"
    mkdir -p .peers
    work="$(mktemp -d "$PWD/.peers/arriving.XXXXXX")"
    (
        cd "$work"
        npm pack --silent "@ohif/app@$ohif" >/dev/null &&
            tar -xzf ./*.tgz --exclude='*.map' package/dist &&
            mv package/dist "../ohif-$ohif"
    ) || echo "OHIF could not be fetched: the tests in it will be skipped."
    rm -r "$work"
}

if [ ${#packages[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        install_packages
    else
        echo "Some tests will be skipped. To run them all:" \
            "sudo apt-get install --no-install-recommends ${packages[*]}"
    fi
fi
install_ohif
