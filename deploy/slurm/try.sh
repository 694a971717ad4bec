#!/usr/bin/env bash
# Tries withhold.sbatch for real: a Slurm cluster of this one machine (Debian: slurm-wlm, munge; as root), two tasks of
# the array on the fixtures, and the comparison of their files with those of one run. Everything lies in a temporary
# folder; daemons are ended at the end.
#
#   deploy/slurm/try.sh [path of withhold [options of redact]]
set -euo pipefail
cd "$(dirname "$0")/../.."
program=$(realpath "${1:-target/release/withhold}")
options=("${@:2}")
dir=$(mktemp -d)
pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$dir"
}
trap finish EXIT

mkdir -p "$dir"/{munge,state,spool,in}
chmod 755 "$dir"
dd if=/dev/urandom of="$dir/munge/key" bs=1024 count=1 status=none
chmod 700 "$dir/munge"
chmod 600 "$dir/munge/key"
munged --foreground --force --key-file="$dir/munge/key" --socket="$dir/munge/socket" --pid-file="$dir/munge/pid" \
  --log-file="$dir/munge/log" --seed-file="$dir/munge/seed" &
pids+=($!)
while [ ! -S "$dir/munge/socket" ]; do sleep 0.1; done

host=$(hostname -s)
cpus=$(nproc)
cat >"$dir/slurm.conf" <<CONF
ClusterName=try
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
CredType=cred/munge
SlurmUser=root
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF="$dir/slurm.conf"
slurmctld -D &
pids+=($!)
slurmd -D -N "$host" &
pids+=($!)
until sinfo -h -o %t 2>/dev/null | grep -q idle; do sleep 0.3; done

cp fixtures/demo/*.jpg fixtures/clips/turning.mp4 fixtures/clips/yuv422.mp4 fixtures/formats/orientation-*.jpg "$dir/in"
# Smaller than a real job asks for, so that both tasks run at once on two cores.
WITHHOLD=$program sbatch --wait --array=1-2 --cpus-per-task=1 --mem=0 --output="$dir/task-%a.log" \
  deploy/slurm/withhold.sbatch "$dir/in" "$dir/shared" "${options[@]}" || { cat "$dir"/task-*.log "$dir"/slurm*.log; exit 1; }
grep -h ' done' "$dir"/task-*.log
"$program" redact "$dir/in" -o "$dir/whole" -q "${options[@]}"
diff -r "$dir/whole" "$dir/shared"
echo "$(find "$dir/shared" -type f | wc -l) files of two tasks are those of one run, byte for byte"
