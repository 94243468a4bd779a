#!/bin/sh
# Runs HAProxy, and has it take up certificates that were renewed: it looks at its files only when it is told to.
# SIGTERM closes the listeners, and ends when all that was asked is answered.
set -u
state() { cat /srv/cortexkg/front/* /srv/cortexkg/balancer/* /srv/cortexkg/configuration/haproxy.cfg | sha256sum; }

haproxy -W -db -f /srv/cortexkg/configuration/haproxy.cfg &
master=$!
trap 'kill -USR1 "$master"' TERM
known=$(state)
while kill -0 "$master" 2>/dev/null; do
  sleep 10 &
  wait $!
  found=$(state)
  [ "$found" = "$known" ] || kill -USR2 "$master"
  known=$found
done
wait "$master"
