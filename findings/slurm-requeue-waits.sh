#!/usr/bin/env bash
# SLURM lets a requeued job wait two minutes, and a shorter time that it does not like it replaces by those two minutes
#
# Versions: SLURM 22.05.8 and munge 0.5.15 of Debian 12 (amd64; apt-get with Debian's package lists is needed, nothing is installed).
#
# Behaviour: a job that is requeued (scontrol requeue, the end of a training's time with --signal, a node that is gone) is pending with
# the reason BeginTime, although nodes are idle: slurmctld sets its begin to now + cred_expire + 1 s, so that no credential of the
# earlier start is still good. cred_expire stands in AuthInfo, among the settings of munge; its default is 120 s. Values below 5 are
# refused by one line in slurmctld.log ("AuthInfo=cred_expire=1 invalid"), the controller starts all the same, and waits 120 s.
#
# Output seen (seconds until a requeued job may begin): default: 121, cred_expire=6: 7, cred_expire=1: 121
#
# The usual guess: a requeued job is the next one where nothing else waits; scheduling is slow because of sched_interval or priorities; a
# configuration that is wrong stops the daemon or leaves what was asked for.
#
# What it means: for trainings that go on from a checkpoint in short time slices two minutes are lost at every change; set
# AuthInfo=cred_expire=6 or so on a cluster of one's own (clocks must agree that well), and look into the log whether it was taken. A
# test of requeueing that gives up after a minute always fails.
set -euo pipefail
dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
mkdir debs root
packages=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
    --no-pre-depends slurmctld=22.05.8-4+deb12u3 slurmd=22.05.8-4+deb12u3 slurm-client=22.05.8-4+deb12u3 munge \
    | grep -E '^(slurm|munge|libmunge|libhwloc|libpmix|libjwt|libjansson|librdkafka|libyaml|libhttp-parser|libfreeipmi|libipmimonitoring|librrd|libdbi|liblua|libnuma|libjson-c|libbpf|libmysqlclient|libmariadb|libdbus|libelf|libxnvctrl|libnl|libltdl|libltdl7|libhiredis|liblz4)' | sort -u)
(cd debs && apt-get download -qq $packages 2>/dev/null)
ls debs | grep -q '^slurmctld_22.05.8-4+deb12u3' || { echo 'another version of SLURM'; exit 1; }
for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
lib=$dir/root/usr/lib/$(uname -m)-linux-gnu
export PATH=$dir/root/usr/sbin:$dir/root/usr/bin:$PATH LD_LIBRARY_PATH=$lib:$lib/slurm-wlm:$lib/slurm
head -c 1024 /dev/urandom > key
chmod 400 key
munged --foreground --force --num-threads=1 --key-file="$dir/key" --socket="$dir/munge.socket" --log-file="$dir/munge.log" \
    --pid-file="$dir/munge.pid" --seed-file="$dir/munge.seed" 2>/dev/null &
host=$(hostname -s)
export SLURM_CONF=$dir/slurm.conf

seconds() {     # until a requeued job may begin; $1: further words of AuthInfo
    rm -rf state spool log; mkdir state spool
    cat > slurm.conf <<CONF
ClusterName=alone
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$((RANDOM % 10000 + 20000))
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthInfo=socket=$dir/munge.socket$1
PluginDir=$lib/slurm-wlm
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
PartitionName=main Nodes=ALL Default=YES State=UP
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((RANDOM % 10000 + 30000)) CPUs=1
CONF
    slurmctld -D > log 2>&1 & local controller=$!
    slurmd -D -N n1 > log.n1 2>&1 & local node=$!
    local job
    for _ in $(seq 300); do sinfo -h -t idle -o %D 2>/dev/null | grep -q 1 && break; sleep .1; done
    job=$(sbatch --parsable --requeue -o /dev/null --wrap 'sleep 600')
    for _ in $(seq 300); do squeue -h -j "$job" -t R -o %T | grep -q RUNNING && break; sleep .1; done
    scontrol requeue "$job"
    for _ in $(seq 300); do squeue -h -j "$job" -o %r | grep -q BeginTime && break; sleep .1; done
    local begin
    begin=$(scontrol show job "$job" | grep -o 'EligibleTime=[^ ]*' | cut -d= -f2)
    echo $(($(date -d "$begin" +%s) - $(date +%s)))
    grep -o 'AuthInfo=cred_expire=[0-9]* invalid' log >&2 || true
    scancel "$job"
    kill $controller $node 2>/dev/null
    wait $controller $node 2>/dev/null || true
}

for _ in $(seq 100); do [ -S munge.socket ] && break; sleep .1; done
usual=$(seconds '' 2>/dev/null)
six=$(seconds ',cred_expire=6' 2>/dev/null)
one=$(seconds ',cred_expire=1' 2>warned)
echo "seconds until a requeued job may begin: default $usual, cred_expire=6 $six, cred_expire=1 $one ($(cat warned))"
[ "$usual" -gt 110 ] && [ "$six" -lt 15 ] && [ "$one" -gt 110 ] && grep -q invalid warned
echo 'as described: two minutes, unless a time that is not too short is set'
