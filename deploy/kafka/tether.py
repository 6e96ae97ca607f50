"""Run a command that cannot outlive the process which started it.

    python tether.py FD FOLDER COMMAND...

FD is the read end of a pipe whose write end the starting process holds and never uses: the kernel
closes it when that process ends, however it ends. A small watcher waits for this, kills the command
and removes FOLDER (unless it is empty text). This process itself becomes the command, so the pid its
parent knows is the command's. Linux' PDEATHSIG is no substitute: it fires when the starting *thread*
ends, and a test may well start a broker from a thread.
"""

import os
import shutil
import signal
import sys
import time


def watch(line: int, folder: str, pid: int) -> None:
    while os.read(line, 1):
        pass
    if os.getppid() != pid:
        return  # the command has ended already, by its owner's wish
    os.kill(pid, signal.SIGKILL)
    while os.getppid() == pid:
        time.sleep(0.01)
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    line, folder, *command = sys.argv[1:]
    pid = os.getpid()
    if os.fork() == 0:
        watch(int(line), folder, pid)
        os._exit(0)
    os.close(int(line))
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
