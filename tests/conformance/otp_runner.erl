%% Runs scenarios on the real OTP supervisor and prints what happened, one event a line.
%%
%% escript otp_runner.erl FILE      FILE holds {scenario, Name, Sup, Steps}. terms, made by erlang.py
%%
%% What happens is taken from the runtime's own trace (a process ended, an init returned), so the supervisors are
%% the real ones, with nothing between them and their children. Everything carries a strictly monotonic time stamp
%% and is sorted by it.
-module(otp_runner).
-export([main/1, init/1, handle_call/3, handle_cast/2, terminate/2, start_sup/1, start_worker/1, log/2]).
-mode(compile).

main([File]) ->
    {ok, Scenarios} = file:consult(File),
    logger:set_primary_config(level, all),
    logger:remove_handler(default),
    ok = logger:add_handler(conformance, ?MODULE, #{}),
    erlang:trace_pattern({supervisor, init, 1}, [{'_', [], [{return_trace}]}], []),
    erlang:trace_pattern({?MODULE, init, 1}, [{[{worker, '_'}], [], [{return_trace}]}], []),
    io:format("otp ~s~n", [erlang:system_info(otp_release)]),
    lists:foreach(fun scenario/1, Scenarios).

%% -- one scenario: a collector of trace messages, and a driver that is traced with everything it starts

scenario({scenario, Name, Sup, Steps}) ->
    io:format("scenario ~s~n", [Name]),
    ets:new(paths, [named_table, public]),      % pid -> path, and {path, Path} -> its latest pid
    ets:new(starts, [named_table, public]),     % path -> how often it was started
    ets:new(events, [named_table, public, ordered_set]),
    Collector = spawn_link(fun() -> collect() end),
    Self = self(),
    {Driver, Monitor} = spawn_monitor(fun() ->
        process_flag(trap_exit, true),
        erlang:trace(self(), true, [procs, call, set_on_spawn, strict_monotonic_timestamp, {tracer, Collector}]),
        drive(Sup, Steps),
        Self ! {self(), done}
    end),
    receive
        {Driver, done} -> ok;
        {'DOWN', Monitor, process, Driver, Why} -> io:format("error ~p~n", [Why]), halt(1)
    after 30000 -> io:format("error ~s hangs~n", [Name]), halt(1)
    end,
    demonitor(Monitor, [flush]),
    unlink(Collector),
    exit(Collector, kill),
    [ets:delete(T) || T <- [paths, starts, events]].

collect() ->
    receive
        {trace_ts, Pid, exit, Reason, At} -> ets:insert(events, {At, {exit, Pid, Reason}});
        {trace_ts, Pid, return_from, {_, init, 1}, Begun, At} when element(1, Begun) =:= ok ->
            ets:insert(events, {At, {start, Pid}});              % {ok, State}; from OTP 29 on with a timeout to hibernate
        {trace_ts, _, return_from, {_, init, 1}, {stop, {start_spec, _}}, _} -> ok;
        {trace_ts, Pid, return_from, {_, init, 1}, {stop, _}, At} -> ets:insert(events, {At, {fail, Pid}});
        {flush, From} -> From ! flushed;
        _ -> ok
    end,
    collect().

note(Event) ->
    ets:insert(events, {{erlang:monotonic_time(nanosecond), erlang:unique_integer([monotonic])}, Event}).

drive(Sup, Steps) ->
    say(["step boot"]),
    Begun = (catch start_sup({"", Sup})),
    Root = case Begun of
        {ok, Pid} -> settle(Pid), Pid;
        {error, {start_spec, _}} -> note({answer, refused}), none;
        {error, _} -> note({answer, start_failed}), none
    end,
    put(collector, element(2, erlang:trace_info(self(), tracer))),
    print(),
    [begin
        say(["step ", element(1, Step)]),
        step(Root, Step),
        settle(Root),
        print()
     end || Step <- Steps, is_pid(Root)],
    is_pid(Root) andalso left(Root, ""),
    is_pid(Root) andalso is_process_alive(Root) andalso stop(Root).

say(Words) -> io:format("~s~n", [[if is_atom(W) -> atom_to_list(W); true -> W end || W <- Words]]).

print() ->
    erlang:trace_delivered(all),
    receive {trace_delivered, all, _} -> ok end,
    get(collector) ! {flush, self()},
    receive flushed -> ok end,
    [show(Event) || {_, Event} <- ets:tab2list(events)],
    ets:delete_all_objects(events).

show({answer, Word}) -> say(["answer ", Word]);
show({give_up, Pid}) -> say(["give_up ", called(path(Pid))]);
show({start, Pid}) -> put({started, Pid}, true), say(["start ", called(path(Pid))]);
show({fail, Pid}) -> say(["fail ", called(path(Pid))]);
show({exit, Pid, Reason}) ->
    case {path(Pid), get({started, Pid})} of
        {Path, true} -> say(["exit ", called(Path), " ", kind(Reason)]);
        _ -> ok                                                 % its init had failed, or it is none of ours
    end.

called("") -> "root";
called(Path) -> Path.

path(Pid) ->
    case ets:lookup(paths, Pid) of [{_, Path}] -> Path; [] -> unknown end.

pid(Path) ->
    [{_, Pid}] = ets:lookup(paths, {path, Path}), Pid.

kind(normal) -> normal;
kind(shutdown) -> shutdown;
kind({shutdown, _}) -> shutdown;
kind(killed) -> killed;
kind(_) -> crashed.

%% -- what happens

step(_, {kill, Path, How}) -> die(Path, How);
step(_, {kill_together, Sup, Deaths}) ->                % all are dead before their supervisor hears of the first
    sys:suspend(pid(Sup)),
    [die(Path, How) || {Path, How} <- Deaths],
    sys:resume(pid(Sup));
step(Root, {stop}) -> stop(Root);
step(_, {wait, Milliseconds}) -> timer:sleep(Milliseconds);
step(_, {start_child, Sup, Child}) -> answer(fun() -> supervisor:start_child(pid(Sup), child(Sup, Child)) end);
step(_, {terminate_child, Sup, Id}) -> answer(fun() -> supervisor:terminate_child(pid(Sup), Id) end);
step(_, {restart_child, Sup, Id}) -> answer(fun() -> supervisor:restart_child(pid(Sup), Id) end);
step(_, {delete_child, Sup, Id}) -> answer(fun() -> supervisor:delete_child(pid(Sup), Id) end).

stop(Root) ->
    exit(Root, shutdown),
    receive {'EXIT', Root, _} -> ok end.

die(Path, How) ->
    Pid = pid(Path),
    Monitor = monitor(process, Pid),
    case How of
        kill -> exit(Pid, kill);
        _ -> gen_server:cast(Pid, {die, How})
    end,
    receive {'DOWN', Monitor, process, Pid, _} -> ok end.

answer(Call) ->
    note({answer, try Call() of
        ok -> ok;
        {ok, _} -> ok;
        {error, {already_started, _}} -> already_started;
        {error, {bad_combination, _}} -> refused;
        {error, Word} when is_atom(Word), Word =/= boom -> Word;
        {error, _} -> start_failed
    catch
        exit:{noproc, _} -> stopping
    end}).

%% -- until the whole tree has heard of every death and does nothing more

settle(Root) ->
    case is_process_alive(Root) andalso not settled(Root, "") of
        true -> timer:sleep(1), settle(Root);
        false -> ok
    end.

settled(Sup, Path) ->
    try lists:all(fun(Child) -> quiet(Child, Path) end, supervisor:which_children(Sup))
    catch exit:_ -> false
    end.

quiet({_, undefined, _, _}, _) -> true;
quiet({Id, restarting, _, _}, Path) -> restless(under(Path, Id));
quiet({Id, Pid, supervisor, _}, Path) -> is_process_alive(Pid) andalso settled(Pid, under(Path, Id));
quiet({_, Pid, worker, _}, _) -> is_process_alive(Pid).

restless(Path) -> ets:member(starts, {restless, Path}).

left(Sup, Path) ->
    case is_process_alive(Sup) of
        false -> ok;
        true ->
            lists:foreach(fun({Id, Child, Type, _}) ->
                Name = under(Path, Id),
                State = if is_pid(Child) -> up; Child =:= restarting -> restarting; true -> down end,
                say(["left ", Name, " ", State]),
                is_pid(Child) andalso Type =:= supervisor andalso left(Child, Name)
            end, lists:reverse(supervisor:which_children(Sup)))
    end.

under("", Id) -> atom_to_list(Id);
under(Path, Id) -> Path ++ "/" ++ atom_to_list(Id).

%% -- children

start_sup({Path, Sup}) -> supervisor:start_link(?MODULE, {sup, Path, Sup}).

start_worker({Path, Ways}) -> gen_server:start_link(?MODULE, {worker, {Path, Ways}}, []).

child(Path, {sup, Id, Terms, _, _} = Sup) ->
    Terms#{id => Id, start => {?MODULE, start_sup, [{under(Path, Id), Sup}]}, type => supervisor};
child(Path, {worker, Id, Terms, Ways}) ->
    Terms#{id => Id, start => {?MODULE, start_worker, [{under(Path, Id), Ways}]}}.

here(Path) -> ets:insert(paths, [{self(), Path}, {{path, Path}, self()}]).

init({sup, Path, {sup, _, _, Flags, Children}}) ->
    here(Path),
    {ok, {Flags, [child(Path, Child) || Child <- Children]}};
init({worker, {Path, #{fails := Fails, kills := Kills, restless := Restless} = Ways}}) ->
    process_flag(trap_exit, true),
    here(Path),
    Start = ets:update_counter(starts, Path, 1, {Path, 0}),
    [die(Victim, How) || {Nth, Victim, How} <- Kills, Nth =:= Start],
    case [Nth || Nth <- Fails, Nth =:= Start orelse (is_tuple(Nth) andalso element(2, Nth) =< Start)] of
        [] -> {ok, Ways};
        _ -> Restless andalso ets:insert(starts, {{restless, Path}, true}), {stop, boom}
    end.

handle_call(_, _, Ways) -> {reply, ok, Ways}.

handle_cast({die, crash}, Ways) -> {stop, boom, Ways#{on_stop := obey}};
handle_cast({die, Reason}, Ways) -> {stop, Reason, Ways#{on_stop := obey}}.

terminate(_, #{on_stop := ignore}) -> timer:sleep(infinity);
terminate(_, #{on_stop := crash}) -> exit(oops);
terminate(_, _) -> ok.

%% -- logger: the supervisor says in its own process that it gives up

log(#{msg := {report, #{label := {supervisor, shutdown}, report := Report}}}, _) ->
    case proplists:get_value(reason, Report) of
        reached_max_restart_intensity -> note({give_up, self()});
        _ -> ok
    end;
log(_, _) -> ok.
