#!/bin/sh
# Installs the MQTT broker that the tests of events use; needs root on Debian or Ubuntu. The service
# that comes with the package is not started: the tests start brokers of their own.
set -eu
command -v apt-get >/dev/null || { echo "no apt-get: install mosquitto by hand" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "not root: run 'sudo sh $0'" >&2; exit 1; }
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get install -y -q --no-install-recommends mosquitto ||
  { apt-get update -q && apt-get install -y -q --no-install-recommends mosquitto; }
