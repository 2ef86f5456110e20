//! What concerns replicas and clusters, of which there are none: what is true without them is
//! answered as Redis does, the rest is refused.

use ferrite_engine::{Args, Arity, FAST, Group, Reply, docs};

use crate::commands::flags::{ADMIN, NO_SCRIPT};
use crate::commands::{ROW, Result, ServerSpec};
use crate::context::Context;

const ADMIN_ROW: ServerSpec = ServerSpec { flags: ADMIN | NO_SCRIPT, ..ROW };

const CLUSTER_ROW: ServerSpec = ServerSpec {
    arity: Arity::Exactly(1),
    flags: FAST,
    since: docs("3.0.0"),
    run: no_cluster,
    ..ROW
};

const REPLICAOF_ROW: ServerSpec = ServerSpec {
    arity: Arity::Exactly(3),
    syntax: docs("host port | NO ONE"),
    summary: docs("Says whose replica this is to be: nobody's, as it is."),
    run: replicaof,
    ..ADMIN_ROW
};

pub(crate) const COMMANDS: &[ServerSpec] = &[
    ServerSpec {
        name: "asking",
        summary: docs("Asks a node of a cluster, of which this is none."),
        ..CLUSTER_ROW
    },
    ServerSpec {
        name: "cluster",
        since: docs("3.0.0"),
        syntax: docs("subcommand [arg ...]"),
        summary: docs("Concerns clusters, of which this server is none."),
        flags: 0,
        run: cluster,
        ..ROW
    },
    ServerSpec {
        name: "failover",
        arity: Arity::AtLeast(1),
        since: docs("6.2.0"),
        syntax: docs("[TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]"),
        summary: docs("Hands over to a replica, of which there are none."),
        run: failover,
        ..ADMIN_ROW
    },
    ServerSpec {
        name: "readonly",
        group: Group::Connection,
        summary: docs("Reads from a replica of a cluster, of which this is none."),
        ..CLUSTER_ROW
    },
    ServerSpec {
        name: "readwrite",
        group: Group::Connection,
        summary: docs("Takes READONLY back."),
        ..CLUSTER_ROW
    },
    ServerSpec { name: "replicaof", since: docs("5.0.0"), ..REPLICAOF_ROW },
    ServerSpec {
        name: "role",
        arity: Arity::Exactly(1),
        flags: FAST | NO_SCRIPT,
        since: docs("2.8.12"),
        summary: docs("Tells whether this is a master, and of whom; there are no replicas."),
        run: |cx, _| {
            cx.wire.array(3);
            cx.wire.text("master");
            cx.wire.integer(0);
            cx.wire.array(0);
            Ok(())
        },
        ..ADMIN_ROW
    },
    ServerSpec { name: "slaveof", ..REPLICAOF_ROW },
];

fn cluster(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    // Of its subcommands this is the one that scripts may not run.
    if cx.is_in_script && args.required().eq_ignore_ascii_case(b"reset") {
        return Err("ERR This Redis command is not allowed from script".into());
    }
    no_cluster(cx, args)
}

fn no_cluster(_: &mut Context<'_>, _: &mut Args<'_>) -> Result<()> {
    Err("ERR This instance has cluster support disabled".into())
}

fn replicaof(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let (host, port) = (args.required(), args.required());
    if !host.eq_ignore_ascii_case(b"no") || !port.eq_ignore_ascii_case(b"one") {
        return Err("ERR replication is not supported: this server is nobody's replica".into());
    }
    cx.wire.ok();
    Ok(())
}

fn failover(_: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    match args.as_slice() {
        [word] if word.eq_ignore_ascii_case(b"abort") => Err("ERR No failover in progress.".into()),
        _ => Err("ERR FAILOVER requires connected replicas.".into()),
    }
}
