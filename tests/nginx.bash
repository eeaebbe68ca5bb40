# A real web server for tests and labs: nginx on loopback, with a folder of its own, as root or not.
# To be sourced:
#
#     nginx_start FOLDER [N [PORT]]   makes N files in FOLDER/files (1000) and serves them; $site is
#                                     http://127.0.0.1:PORT then (a free port); 1: it did not start
#     nginx_stop                      ends it
#
# What it serves, NAME being one of f1 .. fN:
#
#     /files/NAME    the file                     /late/NAME   the same, 10 ms later
#     /busy/NAME     503 more often than not      /slow/NAME   a trickle of 1 kB/s
#     /short/NAME    breaks off in the middle     /moved/NAME  redirects to /files/NAME
#     /loop          redirects to itself          /away        redirects to a file on your disk
#     /broken/NAME   500 always                   other        404

nginx_has() { command -v nginx >/dev/null || [ -x /usr/sbin/nginx ]; }
nginx_program() { command -v nginx || echo /usr/sbin/nginx; }

nginx_configure() { # FOLDER PORT INNER_PORT
    local user=''
    [ "$(id -u)" != 0 ] || user='user root;'
    cat <<EOF
$user
worker_processes 1;
daemon off;
pid $1/nginx.pid;
events { worker_connections 8192; }
http {
    access_log off;
    client_body_temp_path $1/tmp; proxy_temp_path $1/tmp; fastcgi_temp_path $1/tmp;
    scgi_temp_path $1/tmp; uwsgi_temp_path $1/tmp;
    default_type application/octet-stream;
    keepalive_requests 100000;
    limit_req_zone \$binary_remote_addr zone=busy:1m rate=40r/s;
    server {
        listen 127.0.0.1:$2 backlog=4096;
        root $1;
        location /files/ { }
        location /late/ {
            auth_basic late; auth_basic_user_file $1/nobody; auth_delay 10ms;
            error_page 401 = @late;
        }
        location @late { auth_basic off; rewrite ^/late/(.*)\$ /files/\$1 break; }
        location /busy/ { limit_req zone=busy; alias $1/files/; }
        location /slow/ { limit_rate 1k; alias $1/files/; }
        location /short/ {
            proxy_pass http://127.0.0.1:$3/; proxy_buffering off; proxy_read_timeout 100ms;
        }
        location /moved/ { rewrite ^/moved/(.*)\$ /files/\$1 redirect; }
        location = /loop { return 302 /loop; }
        location = /away { return 302 file://$1/files/f1; }
        location /broken/ { return 500; }
    }
    server { # behind /short/: too slow for it
        listen 127.0.0.1:$3;
        location / { limit_rate 256; alias $1/files/; }
    }
}
EOF
}

nginx_pid='' site=''
nginx_stop() {
    [ -z "$nginx_pid" ] || { kill "$nginx_pid" && wait "$nginx_pid"; } 2>/dev/null || true
    nginx_pid=''
}

# f1 is empty, the others have 1 to 200 lines.
nginx_files() { # FOLDER N
    awk -v folder="$1" -v n="$2" 'BEGIN {
        for (i = 1; i <= n; i++) {
            file = folder "/f" i
            printf "" > file
            for (k = 1; k <= (i - 1) * 7 % 200; k++)
                print "line " k " of file " i > file
            close(file)
        }
    }'
}

nginx_start() {
    local folder=$1 n=${2:-1000} port=${3:-} try wait
    mkdir -p "$folder/files" "$folder/tmp"
    folder=$(readlink -f "$folder")
    : >"$folder/nobody"
    [ -e "$folder/files/f$n" ] || nginx_files "$folder/files" "$n"
    for try in 1 2 3 4 5; do
        local at=${port:-$((20000 + RANDOM % 12000))}
        nginx_configure "$folder" "$at" $((at + 1)) >"$folder/nginx.conf"
        "$(nginx_program)" -p "$folder" -e "$folder/error.log" -c "$folder/nginx.conf" 2>"$folder/start.log" &
        nginx_pid=$!
        for wait in $(seq 100); do
            kill -0 "$nginx_pid" 2>/dev/null || break
            if (: <>"/dev/tcp/127.0.0.1/$at") 2>/dev/null; then
                sleep 0.1 # another's server may have that port, and ours be about to end
                kill -0 "$nginx_pid" 2>/dev/null || break
                site=http://127.0.0.1:$at
                return 0
            fi
            sleep 0.05
        done
        nginx_stop
    done
    cat "$folder/error.log" "$folder/start.log" >&2
    return 1
}
