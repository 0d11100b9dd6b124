"""The native part of the thread team: how pieces of a program are claimed, run and waited for.

A program is a list of phases; a phase is a record of three words, which begins with the address of
a function, and a number of pieces, each of which is one call `function(table, piece, scratch,
record)`. The pieces of a phase run in any order on any thread; a phase begins when the last piece
of the one before is done.

All of it hangs on one word: how often the word was opened (its upper half) and how many pieces of
the present phase nobody has claimed (its lower half). A thread claims a piece by counting down
with compare-and-swap. Whoever finishes the last piece runs the phases of a single piece that
follow, then opens the word for the next phase, or closes it. So nobody owns a piece before it can
run: a thread that the system has put aside delays others only inside of a piece, and the caller
alone would finish the program.

The other fields belong to the phase: they are read after a claim and stay as they are until the
claimed piece is done. All of them lie in memory that is never freed, as a member of the team may
look at the word at any time.

The only piece of a phase may share work of its own, such as a step of a loop: an inner phase, which
ends where it began, in that piece (`share`).

Waiting is spinning, then sleeping in the kernel for a member, giving way to others for the caller.
A member that finds itself on the caller's processor moves to another: where there are as many
threads as processors, Linux leaves the two together for a long time.
"""

from __future__ import annotations

import platform
import sys

# Where the fields lie, in bytes. Those that different threads write are cache lines apart.
WORD = 0
SEQUENCE = 4  # the upper half of the word
UNFINISHED = 64
STATUS, BUSY = 128, 132
TABLE, FUNCTIONS, COUNTS, PHASES, PHASE, COUNT = 192, 200, 208, 216, 224, 232
MODE = 240  # of the caller's floating-point unit
INNER = 244  # is the phase a part of one piece?
SLEEPERS = 256
STOP = 320
CALLER = 384
HELPED = 448  # pieces that members ran
RUN, SHARE = 512, 520  # the addresses of `run` and `share`, for programs
SCRATCH = 1024  # an address per member
MEMBERS = 384
MASKS = SCRATCH + 8 * MEMBERS  # per processor, the set of the others
MASK_BYTES = 128
PROCESSORS = 8 * MASK_BYTES
STATE_BYTES = MASKS + PROCESSORS * MASK_BYTES

CLOSED = 0xFFFFFFFF  # the lower half of the word when no program runs
UNSTARTED, ALONE, READY = 0, 1, 2
NOT_STARTED = -1  # what `run` answers to a program that comes before the team

_MEMBER_SPINS = 2000  # before it sleeps: about 0.1 ms
_CALLER_SPINS = 300  # before it gives way
_FUTEX = {"x86_64": 202, "aarch64": 98, "riscv64": 98}
_PAUSE = {
    "x86_64": 'call void asm sideeffect "pause", ""()',
    "aarch64": 'call void asm sideeffect "yield", ""()',
}
_MODES = """
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)
"""


def lacking() -> str:
    """Why this system can have no team; empty where it can."""
    if sys.platform != "linux":
        return f"they wait for each other by means of Linux, and this is {sys.platform}"
    if platform.machine() not in _FUTEX:
        return f"how threads wait for each other on {platform.machine()} is not known"
    return ""


def exports() -> list[str]:
    """The functions of `text`.

    run(state, table, functions, counts, phases, scratch) -> i32
        every piece of the program; 0, or NOT_STARTED with nothing done. counts: per phase its
        pieces and the members to wake
    share(state, table, record, pieces, members, scratch)
        the pieces of one record, from within the only piece of a phase. table: of its program;
        members: to wake
    member(state, number)
        what a thread of the team does until it is dismissed
    seize(state) -> i32
        1 and no program gets the team until BUSY is 0 again; or 0: it has one
    dismiss(state)
        members return as soon as they can
    """
    both = ["run", "share"]
    return both if lacking() else [*both, "member", "seize", "dismiss"]


def text() -> str:
    """The IR of this system's functions."""
    if lacking():
        return _PIECES + _SERIAL + _ALONE
    system = _SYSTEM.replace("FUTEX", str(_FUTEX[platform.machine()]))
    system = system.replace("PAUSE", _PAUSE.get(platform.machine(), ""))
    if platform.machine() == "x86_64":
        system = _MODES + system.replace("MODE_", "call void @llvm.x86.sse.")
    else:
        system = system.replace("MODE_stmxcsr(ptr %p)", "").replace("MODE_ldmxcsr(ptr %p)", "")
    parts = _PIECES, _SERIAL, system, _WORD_CHANGES, _TICKET, _MEMBER, _SHARE, _RUN
    return "".join(parts)


# Every piece of one record.
_PIECES = """
define internal void @pieces(ptr %table, ptr %record, i64 %n, ptr %scratch) {
entry:
  %f = load ptr, ptr %record, align 8
  br label %piece
piece:
  %i = phi i64 [ 0, %entry ], [ %i1, %piece ]
  call void %f(ptr %table, i64 %i, ptr %scratch, ptr %record)
  %i1 = add i64 %i, 1
  %again = icmp ult i64 %i1, %n
  br i1 %again, label %piece, label %end
end:
  ret void
}
"""

# serial: every piece from a phase on.  lead: phases of one piece, up to the first of several.
_SERIAL = """
define internal void @serial(ptr %table, ptr %functions, ptr %counts, i64 %phases, ptr %scratch) {
entry:
  br label %phase
phase:
  %p = phi i64 [ 0, %entry ], [ %p1, %phase ]
  %pf = getelementptr {ptr, ptr, i64}, ptr %functions, i64 %p
  %pn = getelementptr {i64, i64}, ptr %counts, i64 %p
  %n = load i64, ptr %pn, align 8
  call void @pieces(ptr %table, ptr %pf, i64 %n, ptr %scratch)
  %p1 = add i64 %p, 1
  %more = icmp ult i64 %p1, %phases
  br i1 %more, label %phase, label %end
end:
  ret void
}
define internal i64 @lead(ptr %table, ptr %functions, ptr %counts, i64 %first, i64 %phases,
                          ptr %scratch) {
entry:
  br label %top
top:
  %p = phi i64 [ %first, %entry ], [ %p1, %next ]
  %more = icmp ult i64 %p, %phases
  br i1 %more, label %phase, label %end
phase:
  %pn = getelementptr {i64, i64}, ptr %counts, i64 %p
  %n = load i64, ptr %pn, align 8
  %one = icmp eq i64 %n, 1
  br i1 %one, label %next, label %end
next:
  %pf = getelementptr {ptr, ptr, i64}, ptr %functions, i64 %p
  %f = load ptr, ptr %pf, align 8
  call void %f(ptr %table, i64 0, ptr %scratch, ptr %pf)
  %p1 = add i64 %p, 1
  br label %top
end:
  ret i64 %p
}
"""

# What is asked of the system, each behind one function.
_SYSTEM = f"""
declare i64 @syscall(i64, ...)
declare i32 @sched_yield()
declare i32 @sched_getcpu()
declare i32 @sched_setaffinity(i32, i64, ptr)

define internal void @pause() alwaysinline {{
  PAUSE
  ret void
}}
define internal void @give_way() noinline {{
  %r = call i32 @sched_yield()
  ret void
}}
define internal void @sleep(ptr %p, i32 %v) noinline {{
  %r = call i64 (i64, ...) @syscall(i64 FUTEX, ptr %p, i32 128, i32 %v, ptr null)
  ret void
}}
define internal void @wake(ptr %p, i32 %n) noinline {{
  %r = call i64 (i64, ...) @syscall(i64 FUTEX, ptr %p, i32 129, i32 %n)
  ret void
}}
define internal void @lend_mode(ptr %st) alwaysinline {{
  %p = getelementptr i8, ptr %st, i64 {MODE}
  MODE_stmxcsr(ptr %p)
  ret void
}}
define internal void @adopt_mode(ptr %st) alwaysinline {{
  %p = getelementptr i8, ptr %st, i64 {MODE}
  MODE_ldmxcsr(ptr %p)
  ret void
}}
define internal i32 @processor() {{
  %r = call i32 @sched_getcpu()
  ret i32 %r
}}
define internal void @step_aside(ptr %st) noinline {{
entry:
  %pcaller = getelementptr i8, ptr %st, i64 {CALLER}
  %caller = load atomic i32, ptr %pcaller monotonic, align 4
  %mine = call i32 @processor()
  %same = icmp eq i32 %caller, %mine
  %known = icmp ult i32 %mine, {PROCESSORS}
  %both = and i1 %same, %known
  br i1 %both, label %move, label %end
move:
  %wide = zext i32 %mine to i64
  %far = mul i64 %wide, {MASK_BYTES}
  %at = add i64 %far, {MASKS}
  %mask = getelementptr i8, ptr %st, i64 %at
  %r = call i32 @sched_setaffinity(i32 0, i64 {MASK_BYTES}, ptr %mask)
  br label %end
end:
  ret void
}}
"""

# renew: a new word.  rouse: wake members.  open: let the team at a phase.
_WORD_CHANGES = f"""
define internal void @renew(ptr %st, i64 %low) {{
  %w = load atomic i64, ptr %st monotonic, align 8
  %seq = lshr i64 %w, 32
  %seq1 = add i64 %seq, 1
  %high = shl i64 %seq1, 32
  %new = or i64 %high, %low
  %old = atomicrmw xchg ptr %st, i64 %new seq_cst, align 8
  ret void
}}
define internal void @rouse(ptr %st, i64 %others) {{
entry:
  %psleepers = getelementptr i8, ptr %st, i64 {SLEEPERS}
  %pseq = getelementptr i8, ptr %st, i64 {SEQUENCE}
  %asleep = load atomic i32, ptr %psleepers seq_cst, align 4
  %some = icmp ne i32 %asleep, 0
  %many = trunc i64 %others to i32
  %worth = icmp ne i32 %many, 0
  %both = and i1 %some, %worth
  br i1 %both, label %wake, label %end
wake:
  call void @wake(ptr %pseq, i32 %many)
  br label %end
end:
  ret void
}}
define internal void @open(ptr %st, ptr %counts, i64 %phase) {{
  %pn = getelementptr {{i64, i64}}, ptr %counts, i64 %phase
  %pwake = getelementptr i64, ptr %pn, i64 1
  %n = load i64, ptr %pn, align 8
  %others = load i64, ptr %pwake, align 8
  %pphase = getelementptr i8, ptr %st, i64 {PHASE}
  %pcount = getelementptr i8, ptr %st, i64 {COUNT}
  %pleft = getelementptr i8, ptr %st, i64 {UNFINISHED}
  store i64 %phase, ptr %pphase, align 8
  store i64 %n, ptr %pcount, align 8
  store atomic i64 %n, ptr %pleft monotonic, align 8
  call void @renew(ptr %st, i64 %n)
  call void @rouse(ptr %st, i64 %others)
  ret void
}}
define i32 @seize(ptr %st) {{
  %pbusy = getelementptr i8, ptr %st, i64 {BUSY}
  %x = cmpxchg ptr %pbusy, i32 0, i32 1 acq_rel acquire, align 4
  %ok = extractvalue {{i32, i1}} %x, 1
  %r = zext i1 %ok to i32
  ret i32 %r
}}
define void @dismiss(ptr %st) {{
  %pstop = getelementptr i8, ptr %st, i64 {STOP}
  store atomic i32 1, ptr %pstop seq_cst, align 4
  call void @renew(ptr %st, i64 {CLOSED})
  %pseq = getelementptr i8, ptr %st, i64 {SEQUENCE}
  call void @wake(ptr %pseq, i32 2147483647)
  ret void
}}
"""

# Run the piece that was claimed when `left` were left; after the last one of its phase, go on. An
# inner phase may be over, and another one open, as soon as its pieces are counted: nothing of it is
# read after that.
_TICKET = f"""
define internal void @ticket(ptr %st, i64 %left, ptr %scratch) {{
entry:
  %pphase = getelementptr i8, ptr %st, i64 {PHASE}
  %pcount = getelementptr i8, ptr %st, i64 {COUNT}
  %ptable = getelementptr i8, ptr %st, i64 {TABLE}
  %pfunctions = getelementptr i8, ptr %st, i64 {FUNCTIONS}
  %phase = load i64, ptr %pphase, align 8
  %count = load i64, ptr %pcount, align 8
  %table = load ptr, ptr %ptable, align 8
  %functions = load ptr, ptr %pfunctions, align 8
  %pf = getelementptr {{ptr, ptr, i64}}, ptr %functions, i64 %phase
  %f = load ptr, ptr %pf, align 8
  %pinner = getelementptr i8, ptr %st, i64 {INNER}
  %inner = load i32, ptr %pinner, align 4
  %outer = icmp eq i32 %inner, 0
  %piece = sub i64 %count, %left
  call void %f(ptr %table, i64 %piece, ptr %scratch, ptr %pf)
  %punfinished = getelementptr i8, ptr %st, i64 {UNFINISHED}
  %before = atomicrmw sub ptr %punfinished, i64 1 acq_rel, align 8
  %last = icmp eq i64 %before, 1
  %on = and i1 %last, %outer
  br i1 %on, label %advance, label %end
advance:
  %pcounts = getelementptr i8, ptr %st, i64 {COUNTS}
  %pphases = getelementptr i8, ptr %st, i64 {PHASES}
  %counts = load ptr, ptr %pcounts, align 8
  %phases = load i64, ptr %pphases, align 8
  %after = add i64 %phase, 1
  %p = call i64 @lead(ptr %table, ptr %functions, ptr %counts, i64 %after, i64 %phases,
                      ptr %scratch)
  %more = icmp ult i64 %p, %phases
  br i1 %more, label %next, label %done
next:
  call void @open(ptr %st, ptr %counts, i64 %p)
  br label %end
done:
  call void @renew(ptr %st, i64 {CLOSED})
  br label %end
end:
  ret void
}}
"""

_MEMBER = f"""
define void @member(ptr %st, i64 %number) {{
entry:
  %psleepers = getelementptr i8, ptr %st, i64 {SLEEPERS}
  %pstop = getelementptr i8, ptr %st, i64 {STOP}
  %phelped = getelementptr i8, ptr %st, i64 {HELPED}
  %pseq = getelementptr i8, ptr %st, i64 {SEQUENCE}
  %room = getelementptr i8, ptr %st, i64 {SCRATCH}
  %pscratch = getelementptr ptr, ptr %room, i64 %number
  %scratch = load ptr, ptr %pscratch, align 8
  br label %look
look:
  %spins = phi i64 [ 0, %entry ], [ %spins1, %spin ], [ 0, %rest ], [ 0, %work ], [ %spins, %claim ]
  %w = load atomic i64, ptr %st acquire, align 8
  %left = and i64 %w, {CLOSED}
  %none = icmp eq i64 %left, 0
  %closed = icmp eq i64 %left, {CLOSED}
  %nothing = or i1 %none, %closed
  br i1 %nothing, label %wait, label %claim
claim:
  %w1 = sub i64 %w, 1
  %x = cmpxchg ptr %st, i64 %w, i64 %w1 acq_rel acquire, align 8
  %mine = extractvalue {{i64, i1}} %x, 1
  br i1 %mine, label %have, label %look
have:
  %waited = icmp ne i64 %spins, 0
  br i1 %waited, label %aside, label %work
aside:
  call void @step_aside(ptr %st)
  br label %work
work:
  call void @adopt_mode(ptr %st)
  call void @ticket(ptr %st, i64 %left, ptr %scratch)
  %h = atomicrmw add ptr %phelped, i64 1 monotonic, align 8
  br label %look
wait:
  %s = load atomic i32, ptr %pstop acquire, align 4
  %quit = icmp ne i32 %s, 0
  br i1 %quit, label %end, label %turn
turn:
  %spins1 = add i64 %spins, 1
  %long = icmp ugt i64 %spins1, {_MEMBER_SPINS}
  br i1 %long, label %rest, label %spin
spin:
  call void @pause()
  br label %look
rest:
  %high = lshr i64 %w, 32
  %seq = trunc i64 %high to i32
  %a = atomicrmw add ptr %psleepers, i32 1 seq_cst, align 4
  call void @sleep(ptr %pseq, i32 %seq)
  %b = atomicrmw sub ptr %psleepers, i32 1 seq_cst, align 4
  call void @step_aside(ptr %st)
  br label %look
end:
  ret void
}}
"""

# The table says whether the team is this program's, or the one works alone that asks.
_SHARE = f"""
define void @share(ptr %st, ptr %table, ptr %record, i64 %n, i64 %others, ptr %scratch) {{
entry:
  %ptable = getelementptr i8, ptr %st, i64 {TABLE}
  %served = load atomic ptr, ptr %ptable monotonic, align 8
  %ours = icmp eq ptr %served, %table
  br i1 %ours, label %team, label %alone
alone:
  call void @pieces(ptr %table, ptr %record, i64 %n, ptr %scratch)
  ret void
team:
  %pfunctions = getelementptr i8, ptr %st, i64 {FUNCTIONS}
  %pphase = getelementptr i8, ptr %st, i64 {PHASE}
  %pcount = getelementptr i8, ptr %st, i64 {COUNT}
  %pinner = getelementptr i8, ptr %st, i64 {INNER}
  %pleft = getelementptr i8, ptr %st, i64 {UNFINISHED}
  %functions = load ptr, ptr %pfunctions, align 8
  store ptr %record, ptr %pfunctions, align 8
  store i64 0, ptr %pphase, align 8
  store i64 %n, ptr %pcount, align 8
  store i32 1, ptr %pinner, align 4
  store atomic i64 %n, ptr %pleft monotonic, align 8
  call void @renew(ptr %st, i64 %n)
  call void @rouse(ptr %st, i64 %others)
  %f = load ptr, ptr %record, align 8
  br label %look
look:
  %w = load atomic i64, ptr %st acquire, align 8
  %left = and i64 %w, {CLOSED}
  %none = icmp eq i64 %left, 0
  br i1 %none, label %wait, label %claim
claim:
  %w1 = sub i64 %w, 1
  %x = cmpxchg ptr %st, i64 %w, i64 %w1 acq_rel acquire, align 8
  %mine = extractvalue {{i64, i1}} %x, 1
  br i1 %mine, label %work, label %look
work:
  %piece = sub i64 %n, %left
  call void %f(ptr %table, i64 %piece, ptr %scratch, ptr %record)
  %before = atomicrmw sub ptr %pleft, i64 1 acq_rel, align 8
  br label %look
wait:
  %spins = phi i64 [ 0, %look ], [ %spins1, %spin ], [ %spins1, %yield ]
  %u = load atomic i64, ptr %pleft acquire, align 8
  %done = icmp eq i64 %u, 0
  br i1 %done, label %end, label %spin
spin:
  %spins1 = add i64 %spins, 1
  call void @pause()
  %long = icmp ugt i64 %spins1, {_CALLER_SPINS}
  br i1 %long, label %yield, label %wait
yield:
  call void @give_way()
  br label %wait
end:
  store i32 0, ptr %pinner, align 4
  store ptr %functions, ptr %pfunctions, align 8
  ret void
}}
"""

# A team that serves another thread is not waited for: this one then works alone.
_RUN = f"""
define i32 @run(ptr %st, ptr %table, ptr %functions, ptr %counts, i64 %phases, ptr %scratch) {{
entry:
  %pstatus = getelementptr i8, ptr %st, i64 {STATUS}
  %pbusy = getelementptr i8, ptr %st, i64 {BUSY}
  %status = load atomic i32, ptr %pstatus acquire, align 4
  switch i32 %status, label %alone [ i32 {UNSTARTED}, label %never
                                     i32 {READY}, label %try ]
never:
  ret i32 {NOT_STARTED}
try:
  %x = cmpxchg ptr %pbusy, i32 0, i32 1 acq_rel acquire, align 4
  %free = extractvalue {{i32, i1}} %x, 1
  br i1 %free, label %taken, label %alone
taken:
  ; the team may have been dismissed since the first look
  %status2 = load atomic i32, ptr %pstatus acquire, align 4
  %still = icmp eq i32 %status2, {READY}
  br i1 %still, label %begin, label %gone
gone:
  store atomic i32 0, ptr %pbusy release, align 4
  br label %alone
begin:
  %ptable = getelementptr i8, ptr %st, i64 {TABLE}
  %pfunctions = getelementptr i8, ptr %st, i64 {FUNCTIONS}
  %pcounts = getelementptr i8, ptr %st, i64 {COUNTS}
  %pphases = getelementptr i8, ptr %st, i64 {PHASES}
  %pcaller = getelementptr i8, ptr %st, i64 {CALLER}
  store atomic ptr %table, ptr %ptable monotonic, align 8
  store ptr %functions, ptr %pfunctions, align 8
  store ptr %counts, ptr %pcounts, align 8
  store i64 %phases, ptr %pphases, align 8
  call void @lend_mode(ptr %st)
  %here = call i32 @processor()
  store atomic i32 %here, ptr %pcaller monotonic, align 4
  %p = call i64 @lead(ptr %table, ptr %functions, ptr %counts, i64 0, i64 %phases, ptr %scratch)
  %more = icmp ult i64 %p, %phases
  br i1 %more, label %team, label %release
team:
  call void @open(ptr %st, ptr %counts, i64 %p)
  br label %look
look:
  %spins = phi i64 [ 0, %team ], [ %spins1, %spin ], [ %spins1, %yield ], [ 0, %mine ],
                   [ %spins, %claim ]
  %w = load atomic i64, ptr %st acquire, align 8
  %left = and i64 %w, {CLOSED}
  %closed = icmp eq i64 %left, {CLOSED}
  br i1 %closed, label %release, label %some
some:
  %none = icmp eq i64 %left, 0
  br i1 %none, label %spin, label %claim
claim:
  %w1 = sub i64 %w, 1
  %y = cmpxchg ptr %st, i64 %w, i64 %w1 acq_rel acquire, align 8
  %got = extractvalue {{i64, i1}} %y, 1
  br i1 %got, label %mine, label %look
mine:
  call void @ticket(ptr %st, i64 %left, ptr %scratch)
  br label %look
spin:
  %spins1 = add i64 %spins, 1
  call void @pause()
  %long = icmp ugt i64 %spins1, {_CALLER_SPINS}
  br i1 %long, label %yield, label %look
yield:
  call void @give_way()
  br label %look
release:
  store atomic ptr null, ptr %ptable monotonic, align 8
  store atomic i32 0, ptr %pbusy release, align 4
  ret i32 0
alone:
  call void @serial(ptr %table, ptr %functions, ptr %counts, i64 %phases, ptr %scratch)
  ret i32 0
}}
"""

_ALONE = """
define i32 @run(ptr %st, ptr %table, ptr %functions, ptr %counts, i64 %phases, ptr %scratch) {
  call void @serial(ptr %table, ptr %functions, ptr %counts, i64 %phases, ptr %scratch)
  ret i32 0
}
define void @share(ptr %st, ptr %table, ptr %record, i64 %n, i64 %others, ptr %scratch) {
  call void @pieces(ptr %table, ptr %record, i64 %n, ptr %scratch)
  ret void
}
"""
