"""How a direct call is made, as text of `direct_code`.

In: a plan whose looks found everything as it was. Out: functions that fill the program's table,
run it, and put everything into the state that Python expects.
"""

from __future__ import annotations

# What a program wants that did not answer 0: 0 done, 2 raised
_RESUMED = """
define internal i32 @resumed(ptr %plan, i32 %code) {
  %resume = plan ptr resume
  %wide = sext i32 %code to i64
  %number = call ptr @PyLong_FromLong(i64 %wide)
  %answer = call ptr @PyObject_CallOneArg(ptr %resume, ptr %number)
  call void @Py_DecRef(ptr %number)
  %none = icmp eq ptr %answer, null
  br i1 %none, label %error, label %fine
error:
  ret i32 2
fine:
  call void @Py_DecRef(ptr %answer)
  ret i32 0
}
"""

# Ask for the run-time numbers and write them into the table: 0 done, 2 raised
_NUMBERS = """
define internal i32 @numbers(ptr %plan, ptr %ask, ptr %table) {
entry:
  %rows = plan ptr places
  %n = plan i64 places_n
  %list = call ptr @PyObject_CallNoArgs(ptr %ask)
  %none = icmp eq ptr %list, null
  br i1 %none, label %error, label %head
head:
  %k = phi i64 [ 0, %entry ], [ %next, %written ]
  %more = icmp ult i64 %k, %n
  br i1 %more, label %body, label %end
body:
  %first = mul i64 %k, 3
  %row = getelementptr i64, ptr %rows, i64 %first
  %place.p = getelementptr i64, ptr %row, i64 1
  %float.p = getelementptr i64, ptr %row, i64 2
  %which = load i64, ptr %row
  %place = load i64, ptr %place.p
  %float = load i64, ptr %float.p
  %target = getelementptr i64, ptr %table, i64 %place
  %number = call ptr @PyList_GetItem(ptr %list, i64 %which)
  %missing = icmp eq ptr %number, null
  br i1 %missing, label %drop, label %some
some:
  %real = icmp ne i64 %float, 0
  br i1 %real, label %as.real, label %as.whole
as.real:
  %x = call double @PyFloat_AsDouble(ptr %number)
  store double %x, ptr %target
  br label %written
as.whole:
  %i = call i64 @PyLong_AsLongLong(ptr %number)
  store i64 %i, ptr %target
  br label %written
written:
  %next = add i64 %k, 1
  br label %head
end:
  call void @Py_DecRef(ptr %list)
  %occurred = call ptr @PyErr_Occurred()
  %failed = icmp ne ptr %occurred, null
  br i1 %failed, label %error, label %fine
drop:
  call void @Py_DecRef(ptr %list)
  br label %error
error:
  ret i32 2
fine:
  ret i32 0
}
"""

# Look at what must not have changed, fill the table and run: 0 done, 1 not done, 2 raised.
_ENTER = """
define internal i32 @enter(ptr %plan, ptr %addresses, ptr %row, ptr %out) {
entry:
  %none = known None
  %true = known True
  %false = known False
  %grad = known grad
  %deposits = plan ptr deposits
  %deposits.n = plan i64 deposits_n
  %there = plan ptr there
  %there.n = plan i64 there_n
  %nowhere = plan ptr nowhere
  %nowhere.n = plan i64 nowhere_n
  %table = plan ptr table
  %busy = plan ptr busy
  %t = row 0
  %s = row 1
  %b = row 2
  %address = row 3
  %some = icmp ne i64 %deposits.n, 0
  br i1 %some, label %gradients, label %kept
gradients:
  %parameter = load ptr, ptr %deposits
  %now = call ptr @attribute(ptr %parameter, ptr %grad)
  %gone = icmp eq ptr %now, %none
  br i1 %gone, label %gone.all, label %given.all
given.all:
  %given = call i1 @given(ptr %deposits, i64 %deposits.n)
  br i1 %given, label %kept, label %no
kept:
  %unchanged = call i1 @same(ptr %there, i64 %there.n)
  br i1 %unchanged, label %go, label %no
gone.all:
  %forgot = call i1 @forgot(ptr %deposits, i64 %deposits.n)
  br i1 %forgot, label %alone, label %no
alone:
  %unheld = call i1 @same(ptr %nowhere, i64 %nowhere.n)
  br i1 %unheld, label %go, label %no
no:
  ret i32 1
go:
  %forgotten = phi i1 [ false, %kept ], [ true, %alone ]
  call void @Py_IncRef(ptr %t)
  store ptr %true, ptr %busy
  %numbers = plan ptr numbers
  %asked = icmp ne ptr %numbers, null
  br i1 %asked, label %ask, label %inputs
ask:
  %asking = call i32 @numbers(ptr %plan, ptr %numbers, ptr %table)
  %bad = icmp ne i32 %asking, 0
  br i1 %bad, label %raise, label %inputs
inputs:
  %reads = plan ptr inputs
  %reads.n = plan i64 inputs_n
  br label %head
head:
  %k = phi i64 [ 0, %inputs ], [ %next, %body ]
  %more = icmp ult i64 %k, %reads.n
  br i1 %more, label %body, label %run
body:
  %twice = shl i64 %k, 1
  %which.p = getelementptr i64, ptr %reads, i64 %twice
  %place.p = getelementptr i64, ptr %which.p, i64 1
  %which = load i64, ptr %which.p
  %place = load i64, ptr %place.p
  %from = getelementptr i64, ptr %addresses, i64 %which
  %value = load i64, ptr %from
  %to = getelementptr i64, ptr %table, i64 %place
  store i64 %value, ptr %to
  %next = add i64 %k, 1
  br label %head
run:
  %output = plan i64 output
  %result = getelementptr i64, ptr %table, i64 %output
  store ptr %address, ptr %result
  %program = plan ptr entry
  %code = call i32 %program(ptr %table)
  %fine = icmp eq i32 %code, 0
  br i1 %fine, label %done, label %resume
resume:
  %resuming = call i32 @resumed(ptr %plan, i32 %code)
  %worse = icmp ne i32 %resuming, 0
  br i1 %worse, label %raise, label %done
done:
  store ptr %false, ptr %busy
  %served = plan i64 served
  %served.1 = add i64 %served, 1
  store i64 %served.1, ptr %served.p
  br i1 %forgotten, label %deposit, label %end
deposit:
  %put = call i1 @put(ptr %deposits, i64 %deposits.n)
  br i1 %put, label %end, label %drop
end:
  store ptr %t, ptr %out
  ret i32 0
raise:
  store ptr %false, ptr %busy
  br label %drop
drop:
  call void @Py_DecRef(ptr %t)
  ret i32 2
}
"""

# One attempt at a call: 0 done, 1 not done, 2 raised, 3 a result was made: attempt again.
_ATTEMPT = """
define internal i32 @attempt(ptr %plan, ptr %given, i64 %count, ptr %out) {
entry:
  %buffers = alloca ptr, i64 %count
  %addresses = alloca i64, i64 %count
  %open = plan i64 open
  %thread = plan i64 thread
  %looks = plan ptr looks
  %looks.n = plan i64 looks_n
  %pairs = plan ptr pairs
  %pairs.n = plan i64 pairs_n
  %entries = plan ptr entries
  %entries.n = plan i64 entries_n
  %checks = plan ptr checks
  %checks.n = plan i64 checks_n
  %closed = icmp eq i64 %open, 0
  br i1 %closed, label %no, label %mine
mine:
  %state = call ptr @PyThreadState_Get()
  %id = call i64 @PyThreadState_GetID(ptr %state)
  %ok.id = icmp eq i64 %id, %thread
  br i1 %ok.id, label %asked, label %no
asked:
  %agreed = call i32 @agreed(ptr %checks, i64 %checks.n)
  switch i32 %agreed, label %error [ i32 0, label %looked
                                     i32 1, label %no ]
looked:
  %ok.1 = call i1 @same(ptr %looks, i64 %looks.n)
  br i1 %ok.1, label %compared, label %no
compared:
  %ok.2 = call i1 @paired(ptr %pairs, i64 %pairs.n)
  br i1 %ok.2, label %named, label %no
named:
  %ok.3 = call i1 @entered(ptr %entries, i64 %entries.n)
  br i1 %ok.3, label %results, label %no
results:
  %row = call ptr @find(ptr %plan)
  %free = icmp ne ptr %row, null
  br i1 %free, label %arguments, label %make
make:
  %maker = plan ptr make
  %made = call ptr @PyObject_CallNoArgs(ptr %maker)
  %failed = icmp eq ptr %made, null
  br i1 %failed, label %error, label %again
again:
  call void @Py_DecRef(ptr %made)
  ret i32 3
arguments:
  %taken = call i64 @take(ptr %plan, ptr %given, ptr %buffers, ptr %addresses)
  %all = icmp eq i64 %taken, %count
  br i1 %all, label %enter, label %release
enter:
  %status = call i32 @enter(ptr %plan, ptr %addresses, ptr %row, ptr %out)
  br label %release
release:
  %answer = phi i32 [ 1, %arguments ], [ %status, %enter ]
  br label %head
head:
  %k = phi i64 [ 0, %release ], [ %next, %drop ]
  %more = icmp ult i64 %k, %taken
  br i1 %more, label %drop, label %end
drop:
  %b.at = getelementptr ptr, ptr %buffers, i64 %k
  %b = load ptr, ptr %b.at
  call void @Py_DecRef(ptr %b)
  %next = add i64 %k, 1
  br label %head
end:
  ret i32 %answer
no:
  ret i32 1
error:
  ret i32 2
}
"""

# The method: attempts with the plan, then `general`.
_METHOD = """
define ptr @gemel_direct(ptr %self, ptr %given, i64 %count, ptr %keywords) {
entry:
  %out = alloca ptr
  %slot = slot plan of %self
  %name = known general
  %set = icmp ne ptr %slot, null
  %plainly = icmp eq ptr %keywords, null
  %perhaps = and i1 %set, %plainly
  br i1 %perhaps, label %look, label %general
look:
  %plan = call ptr @PyLong_AsVoidPtr(ptr %slot)
  %some = icmp ne ptr %plan, null
  br i1 %some, label %planned, label %general
planned:
  %open = plan i64 open
  %n = plan i64 arguments
  %held = plan ptr held
  %ok.open = icmp ne i64 %open, 0
  %ok.n = icmp eq i64 %n, %count
  %ok = and i1 %ok.open, %ok.n
  br i1 %ok, label %hold, label %general
hold:
  call void @Py_IncRef(ptr %held)
  %first = call i32 @attempt(ptr %plan, ptr %given, i64 %count, ptr %out)
  %again = icmp eq i32 %first, 3
  br i1 %again, label %repeat, label %settled
repeat:
  %second = call i32 @attempt(ptr %plan, ptr %given, i64 %count, ptr %out)
  br label %settled
settled:
  %status = phi i32 [ %first, %hold ], [ %second, %repeat ]
  call void @Py_DecRef(ptr %held)
  switch i32 %status, label %general [ i32 0, label %done
                                       i32 2, label %raise ]
done:
  %result = load ptr, ptr %out
  ret ptr %result
raise:
  ret ptr null
general:
  %function = call ptr @PyObject_GetAttr(ptr %self, ptr %name)
  %lost = icmp eq ptr %function, null
  br i1 %lost, label %raise, label %call
call:
  %answer = call ptr @PyObject_Vectorcall(ptr %function, ptr %given, i64 %count, ptr %keywords)
  call void @Py_DecRef(ptr %function)
  ret ptr %answer
}
"""

CALLS = "".join([_RESUMED, _NUMBERS, _ENTER, _ATTEMPT, _METHOD])
