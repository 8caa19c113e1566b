# shellcheck shell=bash
# What the tests run against: one real Apache Kafka broker, one real PostgreSQL server and one real MariaDB server, on free loopback
# ports, with their data in a temporary directory that is thrown away. Sourced by tests/run. What they are is installed by install.sh.
#
#   services_start     start them, wait until they are ready, export LACUNA_TEST_KAFKA, LACUNA_TEST_POSTGRES and LACUNA_TEST_MARIADB
#   services_watch     return when one of them has ended
#   services_stop      stop them and remove their data; harmless when nothing runs
#   services_report    print the log of each one that has ended by itself
#
# LACUNA_TEST_FSYNC=on   PostgreSQL syncs its writes, as in production: for benchmarks (default off)
# LACUNA_TEST_SHARED_BUFFERS=4GB   what PostgreSQL keeps in memory: for benchmarks (default 512MB)
# LACUNA_TEST_KEEP=1     leave the temporary directory, with the logs, behind

# shellcheck source=tests/support/install.sh
source "$(dirname "${BASH_SOURCE[0]}")/install.sh"

services_dir=""
declare -A service_pid=()
service_variables=(LACUNA_TEST_KAFKA LACUNA_TEST_POSTGRES LACUNA_TEST_MARIADB)

# ------------------------------------------------------------------------------------------ starting and stopping

services_start() {
  services_dir=$(mktemp -d "${TMPDIR:-/tmp}/lacuna-services.XXXXXX")
  # The user postgres has to reach its own directory in it.
  chmod 711 "$services_dir"
  launch_postgres
  launch_kafka
  launch_mariadb
  ready_or_relaunch postgres
  ready_or_relaunch kafka
  ready_or_relaunch mariadb
  export LACUNA_TEST_KAFKA="127.0.0.1:$kafka_port"
  export LACUNA_TEST_POSTGRES="postgres://lacuna:$postgres_password@127.0.0.1:$postgres_port/postgres"
  export LACUNA_TEST_MARIADB="mysql://lacuna:$mariadb_password@127.0.0.1:$mariadb_port/mysql"
}

services_watch() {
  wait -n "${service_pid[@]}" || true
}

services_report() {
  local name
  for name in "${!service_pid[@]}"; do
    service_alive "$name" || print_log "$name"
  done
}

services_stop() {
  local name
  for name in "${!service_pid[@]}"; do
    stop_service "$name"
  done
  [[ -n $services_dir ]] || return 0
  if [[ ${LACUNA_TEST_KEEP:-} == 1 ]]; then
    say "kept: $services_dir"
  else
    rm -rf "$services_dir"
  fi
  services_dir=""
}

# Runs a function in the background, in a process group of its own, with its output in a log.
launch() { # name function
  set -m
  "$2" >"$services_dir/$1.log" 2>&1 </dev/null &
  service_pid[$1]=$!
  set +m
}

service_alive() { kill -0 "${service_pid[$1]}" 2>/dev/null; }

# The data is thrown away, so nothing is flushed: PostgreSQL's "immediate" shutdown, and no farewell from the broker.
stop_service() {
  local signal=KILL
  [[ $1 != postgres ]] || signal=QUIT
  kill "-$signal" -- "-${service_pid[$1]}" 2>/dev/null || true
  { wait "${service_pid[$1]}" || true; } 2>/dev/null
  unset "service_pid[$1]"
}

# Between the look for a free port and its use, another process can take the port: then one more try, with another.
ready_or_relaunch() {
  local tries=3
  until await_ready "$1"; do
    if ((--tries == 0)) || ! grep -qi 'address already in use' "$services_dir/$1.log"; then
      print_log "$1"
      die "$1 did not become ready"
    fi
    stop_service "$1"
    "launch_$1"
  done
}

await_ready() {
  local deadline=$((SECONDS + 90))
  until "ready_$1"; do
    service_alive "$1" && ((SECONDS < deadline)) || return 1
    sleep 0.1
  done
}

print_log() {
  say "---- the last lines of $1's log"
  tail -n 40 "$services_dir/$1.log" >&2 || true
  say "----"
}

# A port that nobody listens on, from below the range that Linux gives to outgoing connections.
free_port() {
  local port
  while read -r port; do
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return
    fi
  done < <(shuf -i 20000-31999 -n 100)
  die "no free port on loopback"
}

# ---------------------------------------------------------------------------------------------------- PostgreSQL

launch_postgres() {
  postgres_port=$(free_port)
  # A superuser can run programs as the server's user, and loopback is open to every user of this machine.
  postgres_password=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
  # As root: as user postgres. `setpriv` execs, so the process we started is the server itself.
  postgres_user=()
  ((EUID != 0)) || postgres_user=(--reuid=postgres --regid=postgres --init-groups)
  launch postgres run_postgres
}

# It ends with this script even when that is killed outright (--pdeathsig).
run_postgres() {
  local home="$services_dir/postgres"
  rm -rf "$home"
  mkdir "$home"
  (
    umask 077
    echo "$postgres_password" >"$home/password"
  )
  ((EUID != 0)) || chown -R postgres: "$home"
  cd "$home" || exit
  # Passwords go over loopback as they are: a SCRAM exchange is slow in clients that are built without optimisation.
  setpriv "${postgres_user[@]}" "$postgres_bin/initdb" --pgdata="$home/data" --username=lacuna --pwfile="$home/password" \
    --auth=password --encoding=UTF8 --locale=C.UTF-8 --no-sync
  postgres_settings >>"$home/data/postgresql.conf"
  exec setpriv --pdeathsig QUIT "${postgres_user[@]}" "$postgres_bin/postgres" -D "$home/data" -p "$postgres_port"
}

postgres_settings() {
  local fsync="${LACUNA_TEST_FSYNC:-off}"
  cat <<EOF
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 300
shared_buffers = ${LACUNA_TEST_SHARED_BUFFERS:-512MB}
max_wal_size = 8GB
wal_compression = lz4
fsync = $fsync
full_page_writes = $fsync
EOF
}

# The server itself writes its state into line 8, so nobody else's server on that port is taken for ours.
ready_postgres() {
  [[ $(sed -n 8p "$services_dir/postgres/data/postmaster.pid" 2>/dev/null) == ready* ]]
}

# ------------------------------------------------------------------------------------------------------- MariaDB

launch_mariadb() {
  mariadb_port=$(free_port)
  mariadb_password=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
  launch mariadb run_mariadb
}

run_mariadb() {
  local home="$services_dir/mariadb" user
  user=$(id -un)
  rm -rf "$home"
  mkdir "$home"
  (
    umask 077
    # A statement a line: it reads no others.
    printf '%s\n' "create user 'lacuna'@'127.0.0.1' identified by '$mariadb_password';" \
      "grant all on *.* to 'lacuna'@'127.0.0.1' with grant option;" >"$home/init.sql"
  )
  mariadb-install-db --no-defaults --datadir="$home/data" --user="$user" --skip-test-db \
    --auth-root-authentication-method=normal
  exec setpriv --pdeathsig QUIT mariadbd --no-defaults --datadir="$home/data" --user="$user" --bind-address=127.0.0.1 \
    --port="$mariadb_port" --socket="$home/socket" --pid-file="$home/pid" --skip-name-resolve --skip-log-bin \
    --init-file="$home/init.sql" --innodb-flush-log-at-trx-commit=0 --max-connections=300
}

ready_mariadb() {
  grep -q "socket: '$services_dir/mariadb/socket'  port: $mariadb_port" "$services_dir/mariadb.log" 2>/dev/null
}

# --------------------------------------------------------------------------------------------------------- Kafka

launch_kafka() {
  kafka_port=$(free_port)
  kafka_controller_port=$kafka_port
  while [[ $kafka_controller_port == "$kafka_port" ]]; do
    kafka_controller_port=$(free_port)
  done
  launch kafka run_kafka
}

run_kafka() {
  local home="$services_dir/kafka" cluster
  rm -rf "$home"
  mkdir "$home"
  kafka_settings >"$home/server.properties"
  kafka_logging >"$home/log4j2.properties"
  # A UUID as Kafka writes it, 16 bytes in base64, but with neither of the two signs that differ in its alphabet.
  cluster=$(head -c 16 /dev/urandom | base64 | tr '+/' 'Lc' | tr -d '=')
  local log4j=-Dlog4j2.configurationFile="$home/log4j2.properties"
  "$java" "$log4j" -cp "$kafka_jars/libs/*" kafka.tools.StorageTool format -t "$cluster" -c "$home/server.properties"
  exec setpriv --pdeathsig KILL "$java" -Xmx512m "$log4j" -cp "$kafka_jars/libs/*" kafka.Kafka "$home/server.properties"
}

kafka_settings() {
  cat <<EOF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$kafka_controller_port
listeners=PLAINTEXT://127.0.0.1:$kafka_port,CONTROLLER://127.0.0.1:$kafka_controller_port
advertised.listeners=PLAINTEXT://127.0.0.1:$kafka_port
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=$services_dir/kafka/data
# A topic that Lacuna forgets to create has to show.
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
# One broker: internal topics cannot have more replicas, and need few partitions.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=5
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
EOF
}

# Warnings, and the one line that says that the broker serves.
kafka_logging() {
  cat <<'EOF'
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %m (%c)%n
logger.started.name = kafka.server.KafkaRaftServer
logger.started.level = info
EOF
}

ready_kafka() { grep -q 'Kafka Server started' "$services_dir/kafka.log" 2>/dev/null; }
