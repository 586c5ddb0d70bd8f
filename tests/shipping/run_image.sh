# run_image.sh ROOT DATA command...: runs a command of a mounted image as its user with a read-only root, as PID 1.
# A stand-in for a container engine, which needs more of its machine. The environment is passed on.
exec unshare --mount --pid --fork --kill-child sh -ec '
root=$1 data=$2
shift 2
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount --bind "$data" "$root/data"
mount -o remount,ro,bind "$root"
cd "$root"
exec env PATH=/opt/chatqueue/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" setpriv --reuid 10001 --regid 10001 \
    --clear-groups --no-new-privs --bounding-set -all --inh-caps -all sh -c "cd /app && exec tini -- \"\$@\"" sh "$@"
' sh "$@"
