//! Random histories of a small cluster: machines that go, a CloudAPI that fails, lies and forgets, a process that is
//! started anew. No Node goes without the proof that the design asks for, which is judged here from the answers that
//! were given and not from what the code made of them; and what is proved gone goes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use triton::id::InstanceId;
use triton::reflector::NOT_FOUND_APART;

/// The size of the cluster.
const MACHINES: usize = 5;

/// What is true of a machine.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Truth {
    Alive,
    /// Destroyed: 410.
    Destroyed,
    /// Destroyed and forgotten: 404.
    Forgotten,
}

/// How CloudAPI answers.
#[derive(Debug, Clone, Copy)]
enum Mode {
    Fine,
    /// Every call fails.
    Down,
    /// Nothing is found, and lists are empty: another account, or lost rights.
    Blind,
    /// Machines from this one on are not found, nor listed.
    Amnesia(usize),
    /// Lists miss a machine; reads are right.
    ShortLists(usize),
}

#[derive(Debug, Clone, Copy)]
enum Action {
    Destroy(usize),
    Forget(usize),
    Ready(usize, bool),
    Mode(Mode),
    List,
    /// The reflector reads an instance.
    Read(usize),
    /// The process is started anew and remembers nothing.
    Restart,
    Pass(u64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Answer {
    There,
    Destroyed,
    NotFound,
}

/// All that CloudAPI ever said, with the second at which it did.
#[derive(Debug, Default)]
struct Heard {
    reads: Vec<(u64, usize, Answer)>,
    /// Clean lists, and what they showed.
    lists: Vec<(u64, Vec<usize>)>,
}

/// What the process holds in memory.
#[derive(Default)]
struct Process {
    known: BTreeMap<usize, Known>,
    first_not_found: BTreeMap<usize, u64>,
    missed: BTreeMap<usize, u64>,
    absence: BTreeMap<usize, Absence>,
    clean_list: Option<u64>,
    pace: Pace,
}

struct Model {
    start: Instant,
    second: u64,
    truth: Vec<Truth>,
    ready: Vec<bool>,
    nodes: Vec<bool>,
    mode: Mode,
    process: Process,
    heard: Heard,
    deleted: Vec<u64>,
}

fn id(machine: usize) -> InstanceId {
    Uuid::from_u128(1 + machine as u128).into()
}

fn machine(id: InstanceId) -> usize {
    usize::try_from(id.as_uuid().as_u128() - 1).unwrap()
}

impl Model {
    fn new(start: Instant) -> Self {
        Self {
            start,
            second: 0,
            truth: vec![Truth::Alive; MACHINES],
            ready: vec![true; MACHINES],
            nodes: vec![true; MACHINES],
            mode: Mode::Fine,
            process: Process::default(),
            heard: Heard::default(),
            deleted: Vec::new(),
        }
    }

    fn at(&self, second: u64) -> Instant {
        self.start + Duration::from_secs(second)
    }

    fn now(&self) -> Instant {
        self.at(self.second)
    }

    /// What CloudAPI answers to a read; `None` for a failure.
    fn ask(&mut self, machine: usize) -> Option<Answer> {
        let answer = match (self.mode, self.truth[machine]) {
            (Mode::Down, _) => return None,
            (Mode::Blind, _) => Answer::NotFound,
            (Mode::Amnesia(from), _) if machine >= from => Answer::NotFound,
            (_, Truth::Alive) => Answer::There,
            (_, Truth::Destroyed) => Answer::Destroyed,
            (_, Truth::Forgotten) => Answer::NotFound,
        };
        self.heard.reads.push((self.second, machine, answer));
        Some(answer)
    }

    /// The reflector lists, by its rules.
    fn list(&mut self) {
        let shown: Vec<usize> = match self.mode {
            Mode::Down => return,
            Mode::Blind => Vec::new(),
            Mode::Amnesia(from) => self.alive().filter(|it| *it < from).collect(),
            Mode::ShortLists(missing) => self.alive().filter(|it| *it != missing).collect(),
            Mode::Fine => self.alive().collect(),
        };
        let destroyed =
            |known: Option<&Known>| matches!(known, Some(Known::Gone { proof: Proof::Destroyed, .. }));
        for machine in 0..MACHINES {
            if shown.contains(&machine) && !destroyed(self.process.known.get(&machine)) {
                self.see(machine);
            } else if !shown.is_empty() {
                self.process.missed.insert(machine, self.second);
            }
        }
        if !shown.is_empty() {
            self.process.clean_list = Some(self.second);
        }
        self.heard.lists.push((self.second, shown));
    }

    fn alive(&self) -> impl Iterator<Item = usize> + '_ {
        (0..MACHINES).filter(|machine| self.truth[*machine] == Truth::Alive)
    }

    fn see(&mut self, machine: usize) {
        let now = self.now();
        self.process.first_not_found.remove(&machine);
        self.process.missed.remove(&machine);
        self.process.known.insert(machine, present(now, "running"));
    }

    /// The reflector reads, by its rules. `keep`: an instance that it never had is kept only if somebody asked.
    fn read(&mut self, machine: usize) -> Option<Answer> {
        let answer = self.ask(machine)?;
        let (second, now) = (self.second, self.now());
        let process = &mut self.process;
        match answer {
            Answer::There => self.see(machine),
            Answer::Destroyed => {
                process.known.insert(machine, Known::Gone { proof: Proof::Destroyed, at: now });
            }
            Answer::NotFound if matches!(process.known.get(&machine), Some(Known::Present(_))) => {
                let first = *process.first_not_found.entry(machine).or_insert(second);
                let missed = process.missed.get(&machine).is_some_and(|missed| *missed >= first);
                if second - first >= NOT_FOUND_APART.as_secs() && missed {
                    process.known.insert(machine, Known::Gone { proof: Proof::NotFound, at: now });
                }
            }
            Answer::NotFound => {}
        }
        Some(answer)
    }

    fn census(&self, without: usize) -> Census {
        let nodes: Vec<usize> = (0..MACHINES).filter(|machine| self.nodes[*machine]).collect();
        let known = |machine: &usize| self.process.known.get(machine).unwrap_or(&Known::Unknown);
        let doubted = |machine: &usize| {
            self.process.missed.contains_key(machine) || self.process.first_not_found.contains_key(machine)
        };
        let lost = |machine: &&usize| match known(machine) {
            Known::Unknown | Known::Gone { proof: Proof::NotFound, .. } => true,
            Known::Present(_) => doubted(machine),
            Known::Gone { proof: Proof::Destroyed, .. } => false,
        };
        let witnesses = nodes.iter().filter(|machine| **machine != without).filter_map(|machine| {
            let Known::Present(seen) = known(machine) else { return None };
            (!doubted(machine)).then_some(Witness { id: id(*machine), as_of: seen.as_of })
        });
        Census {
            machines: nodes.len(),
            not_found: nodes.iter().filter(lost).count(),
            witness: witnesses.max_by_key(|witness| witness.as_of),
        }
    }

    /// Looks at each Node until there is nothing to do now.
    fn look(&mut self) -> Result<(), TestCaseError> {
        for machine in 0..MACHINES {
            // A step may ask for another look at once; that must end.
            for round in 0.. {
                prop_assert!(round < 20, "looks at machine {machine} again and again");
                if !self.nodes[machine] || !self.step(machine)? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Whether there may be more to do now.
    fn step(&mut self, which: usize) -> Result<bool, TestCaseError> {
        let mut scene = Scene::new(self.ready[which]);
        scene.now = self.now();
        scene.identity = Identity::Named(id(which));
        scene.known = self.process.known.get(&which).cloned().unwrap_or(Known::Unknown);
        if matches!(scene.known, Known::Present(_)) {
            self.process.absence.entry(which).or_default().refuted();
        }
        scene.absence = self.process.absence.get(&which).copied().unwrap_or_default();
        scene.clean_list = self.process.clean_list.map(|second| self.at(second));
        scene.census = self.census(which);
        scene.pace = self.process.pace.clone();
        let plan = scene.plan();
        if let Some(again) = plan.again {
            prop_assert!(again > scene.now, "a plan that spins: {plan:?}");
        }
        match plan.step {
            Some(Step::Delete(proof)) => {
                self.judge(which, proof)?;
                let now = self.now();
                self.process.pace.note(None, now);
                self.deleted.push(self.second);
                self.nodes[which] = false;
                Ok(false)
            }
            Some(Step::Read(id)) => {
                let now = self.now();
                let answer = self.read(machine(id));
                if answer == Some(Answer::NotFound) {
                    self.process.absence.entry(which).or_default().not_found(now);
                }
                Ok(answer.is_some())
            }
            Some(Step::Recheck(id)) => {
                self.read(machine(id));
                Ok(false)
            }
            Some(Step::Taints(_)) | None => Ok(false),
        }
    }

    /// Judges a deletion by what was heard.
    fn judge(&self, which: usize, proof: Proof) -> Result<(), TestCaseError> {
        let answers = |wanted| {
            let reads =
                self.heard.reads.iter().filter(move |(_, machine, it)| *machine == which && *it == wanted);
            reads.map(|(second, ..)| *second)
        };
        if proof == Proof::Destroyed {
            // What is destroyed may be forgotten by the time that it is its turn.
            prop_assert!(self.truth[which] != Truth::Alive);
            prop_assert!(answers(Answer::Destroyed).next().is_some());
            return Ok(());
        }
        prop_assert!(!self.ready[which], "a Node that is ready");
        // Since it was last seen, by a read or in a list.
        let seen_in_lists =
            self.heard.lists.iter().filter(|(_, shown)| shown.contains(&which)).map(|(at, _)| *at);
        let seen = answers(Answer::There).chain(seen_in_lists).max();
        let missed: Vec<u64> =
            answers(Answer::NotFound).filter(|at| seen.is_none_or(|seen| *at >= seen)).collect();
        let (first, last) = (missed.iter().min(), missed.iter().max());
        let (Some(first), Some(last)) = (first, last) else {
            return Err(TestCaseError::fail("no 404 was heard"));
        };
        prop_assert!(last - first >= NOT_FOUND_APART.as_secs(), "404 at {first} and {last} only");
        let lists = &self.heard.lists;
        prop_assert!(
            lists.iter().any(|(at, shown)| at >= first && !shown.contains(&which)),
            "no list in between"
        );
        let others =
            self.heard.reads.iter().filter(|(_, machine, it)| *machine != which && *it == Answer::There);
        let others = others.map(|(at, ..)| *at);
        let listed = lists.iter().filter(|(_, shown)| shown.iter().any(|it| *it != which)).map(|(at, _)| *at);
        let since = first + NOT_FOUND_APART.as_secs();
        prop_assert!(others.chain(listed).any(|at| at >= since), "no other machine was seen since");
        Ok(())
    }

    fn act(&mut self, action: Action) -> Result<(), TestCaseError> {
        match action {
            Action::Destroy(machine) if self.truth[machine] == Truth::Alive => {
                self.truth[machine] = Truth::Destroyed;
                self.ready[machine] = false;
            }
            Action::Forget(machine) => {
                self.truth[machine] = Truth::Forgotten;
                self.ready[machine] = false;
            }
            Action::Ready(machine, ready) => {
                self.ready[machine] = ready && self.truth[machine] == Truth::Alive;
            }
            Action::Mode(mode) => self.mode = mode,
            Action::List => self.list(),
            Action::Read(machine) => drop(self.read(machine)),
            Action::Restart => self.process = Process::default(),
            Action::Pass(seconds) => self.second += seconds,
            Action::Destroy(_) => {}
        }
        self.look()
    }

    /// Whatever happens, no more go in a minute than may.
    fn pace_was_kept(&self) -> Result<(), TestCaseError> {
        let limits = Limits::default();
        for (index, at) in self.deleted.iter().enumerate() {
            let window = self.deleted[index..].iter().filter(|other| **other < at + 60).count();
            prop_assert!(window <= limits.share.of(MACHINES - index), "{:?}", self.deleted);
        }
        Ok(())
    }
}

fn action() -> impl Strategy<Value = Action> {
    let machine = 0..MACHINES;
    let mode = prop_oneof![
        3 => Just(Mode::Fine),
        1 => Just(Mode::Down),
        1 => Just(Mode::Blind),
        2 => machine.clone().prop_map(Mode::Amnesia),
        1 => machine.clone().prop_map(Mode::ShortLists),
    ];
    prop_oneof![
        1 => machine.clone().prop_map(Action::Destroy),
        1 => machine.clone().prop_map(Action::Forget),
        3 => (machine.clone(), any::<bool>()).prop_map(|(machine, ready)| Action::Ready(machine, ready)),
        3 => mode.prop_map(Action::Mode),
        4 => Just(Action::List),
        5 => machine.prop_map(Action::Read),
        6 => (1_u64..90).prop_map(Action::Pass),
    ]
}

fn run(test: impl Future<Output = Result<(), TestCaseError>>) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(test)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_node_goes_without_proof(actions in prop::collection::vec(action(), 1..80)) {
        run(async {
            let mut model = Model::new(Instant::now());
            model.list();
            for action in actions {
                model.act(action)?;
            }
            model.pace_was_kept()
        })?;
    }

    #[test]
    fn no_node_goes_in_any_outage_that_concerns_all_machines(
        actions in prop::collection::vec(prop_oneof![12 => action(), 1 => Just(Action::Restart)], 1..80),
    ) {
        run(async {
            let mut model = Model::new(Instant::now());
            model.list();
            for action in actions {
                // Machines that go, and lies about one machine alone, are for the other tests.
                let others = matches!(action, Action::Destroy(_) | Action::Forget(_))
                    || matches!(action, Action::Mode(Mode::Amnesia(1..) | Mode::ShortLists(_)));
                if !others {
                    model.act(action)?;
                }
            }
            prop_assert_eq!(model.deleted.len(), 0);
            Ok(())
        })?;
    }

    #[test]
    fn what_is_gone_goes_once_cloudapi_is_well(
        actions in prop::collection::vec(prop_oneof![12 => action(), 1 => Just(Action::Restart)], 1..40),
        spared in 0..MACHINES,
    ) {
        run(async {
            let mut model = Model::new(Instant::now());
            model.list();
            for action in actions {
                match action {
                    Action::Destroy(machine) if machine == spared => {}
                    Action::Forget(_) => {}
                    action => model.act(action)?,
                }
            }
            model.act(Action::Mode(Mode::Fine))?;
            // The reflector lists every minute at worst, and reads what a list misses.
            for _ in 0..MACHINES + 2 {
                model.act(Action::List)?;
                for machine in 0..MACHINES {
                    let missed = model.process.missed.contains_key(&machine);
                    if missed {
                        model.act(Action::Read(machine))?;
                    }
                }
                model.act(Action::Pass(60))?;
            }
            for machine in 0..MACHINES {
                let gone = model.truth[machine] == Truth::Destroyed;
                prop_assert!(!(gone && model.nodes[machine]), "machine {machine} is destroyed, and its Node is still there");
            }
            Ok(())
        })?;
    }

    #[test]
    fn one_forgotten_machine_goes_by_404(machine in 0..MACHINES, restart: bool) {
        run(async {
            let mut model = Model::new(Instant::now());
            model.list();
            model.act(Action::Forget(machine))?;
            if restart {
                model.act(Action::Restart)?;
            }
            for _ in 0..4 {
                model.act(Action::List)?;
                if model.process.missed.contains_key(&machine) {
                    model.act(Action::Read(machine))?;
                }
                model.act(Action::Pass(60))?;
            }
            prop_assert!(!model.nodes[machine]);
            prop_assert_eq!(model.deleted.len(), 1);
            Ok(())
        })?;
    }
}
