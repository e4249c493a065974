//! The resources (api-resources.md): one table each.

use super::{Actions, Detail, Field, Filter, Form, Ident, Place, Resource, Test};
use baton_model::object::Kind;

const fn field(name: &'static str, since: u16, place: Place, form: Form) -> Field {
    Field {
        name,
        since,
        place,
        form,
        default: "null",
        required: false,
        create: false,
        patch: false,
        sortable: true,
    }
}

impl Field {
    const fn default(mut self, json: &'static str) -> Self {
        self.default = json;
        self
    }

    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    const fn create(mut self) -> Self {
        self.create = true;
        self
    }

    const fn patch(mut self) -> Self {
        self.patch = true;
        self
    }

    const fn unsortable(mut self) -> Self {
        self.sortable = false;
        self
    }
}

/// Given at creation, changed by PATCH.
const fn body(name: &'static str, since: u16, form: Form) -> Field {
    field(name, since, Place::Body, form).create().patch()
}

/// Kept by baton, shown to clients.
const fn shown(name: &'static str, since: u16) -> Field {
    field(name, since, Place::Body, Form::ReadOnly)
}

/// An object that is `{}` unless something was given.
const fn object(name: &'static str, since: u16) -> Field {
    body(name, since, Form::Object).default("{}").unsortable()
}

const UUID: Field = field("uuid", 1, Place::Id, Form::Uuid).create();
const CREATED: Field = field("created_at", 1, Place::Created, Form::ReadOnly);
const UPDATED: Field = field("updated_at", 1, Place::Updated, Form::ReadOnly);
const NODE: Field = field("node_uuid", 1, Place::Node, Form::Uuid)
    .create()
    .patch()
    .unsortable();

const fn name(since: u16, form: Form) -> Field {
    field("name", since, Place::Name, form).create().patch()
}

const fn filter(key: &'static str, since: u16, test: Test) -> Filter {
    Filter { key, since, test }
}

/// `/v1/ports`
pub(crate) static PORTS: Resource = Resource {
    kind: Kind::Port,
    path: "ports",
    key: "ports",
    word: "port",
    fields: &[
        UUID,
        CREATED,
        UPDATED,
        body("address", 1, Form::Mac).required(),
        object("extra", 1),
        shown("internal_info", 18).default("{}").unsortable(),
        body("is_smartnic", 53, Form::Flag).default("false"),
        body("local_link_connection", 19, Form::LocalLink)
            .default("{}")
            .unsortable(),
        body("physical_network", 34, Form::Text(64)),
        body("pxe_enabled", 19, Form::Flag).default("true"),
        NODE.required(),
        field("node_ident", 94, Place::NodeIdent, Form::Text(255)).create(),
        name(88, Form::Name),
        body("description", 97, Form::Text(255)),
        body("vendor", 100, Form::Text(32)),
        body("category", 101, Form::Text(80)),
        body("available_for_dynamic_portgroup", 111, Form::Flag).default("true"),
        body("portgroup_uuid", 24, Form::Uuid),
    ],
    summary: &["uuid", "address"],
    ident: Ident::Name(88),
    detail: Detail::Gated,
    filters: &[
        filter("node", 1, Test::Node),
        filter("node_uuid", 1, Test::Node),
        filter("address", 1, Test::Address),
        filter("portgroup", 24, Test::Equals("portgroup_uuid")),
        filter("shard", 82, Test::Shards),
        filter("conductor_groups", 1, Test::Groups),
        filter("description_contains", 1, Test::Contains("description")),
    ],
    actions: Actions {
        list: "baremetal:port:list_all",
        get: "baremetal:port:get",
        create: "baremetal:port:create",
        update: "baremetal:port:update",
        delete: "baremetal:port:delete",
    },
};

/// `/v1/portgroups`
pub(crate) static PORTGROUPS: Resource = Resource {
    kind: Kind::Portgroup,
    path: "portgroups",
    key: "portgroups",
    word: "portgroup",
    fields: &[
        UUID,
        CREATED,
        UPDATED,
        body("address", 1, Form::Mac),
        object("extra", 1),
        shown("internal_info", 1).default("{}").unsortable(),
        body("mode", 26, Form::Text(255)).default("\"active-backup\""),
        name(1, Form::Name),
        object("properties", 26),
        body("standalone_ports_supported", 1, Form::Flag).default("true"),
        NODE.required(),
        body("physical_network", 102, Form::Text(64)),
        body("category", 103, Form::Text(80)),
        shown("dynamic_portgroup", 111).default("false"),
        field("ports", 24, Place::Links("ports"), Form::ReadOnly).unsortable(),
    ],
    summary: &["uuid", "address", "name"],
    ident: Ident::Name(1),
    detail: Detail::Gated,
    filters: &[
        filter("node", 1, Test::Node),
        filter("address", 1, Test::Address),
        filter("shard", 106, Test::Shards),
        filter("conductor_groups", 1, Test::Groups),
    ],
    actions: Actions {
        list: "baremetal:portgroup:list_all",
        get: "baremetal:portgroup:get",
        create: "baremetal:portgroup:create",
        update: "baremetal:portgroup:update",
        delete: "baremetal:portgroup:delete",
    },
};

/// `/v1/chassis`
pub(crate) static CHASSIS: Resource = Resource {
    kind: Kind::Chassis,
    path: "chassis",
    key: "chassis",
    word: "chassis",
    fields: &[
        UUID,
        CREATED,
        UPDATED,
        body("description", 1, Form::Text(255)),
        object("extra", 1),
        field("nodes", 1, Place::Links("nodes"), Form::ReadOnly).unsortable(),
    ],
    summary: &["uuid", "description"],
    ident: Ident::Uuid,
    detail: Detail::Gated,
    filters: &[],
    actions: Actions {
        list: "baremetal:chassis:get",
        get: "baremetal:chassis:get",
        create: "baremetal:chassis:create",
        update: "baremetal:chassis:update",
        delete: "baremetal:chassis:delete",
    },
};

const VOLUME_ACTIONS: Actions = Actions {
    list: "baremetal:volume:list_all",
    get: "baremetal:volume:get",
    create: "baremetal:volume:create",
    update: "baremetal:volume:update",
    delete: "baremetal:volume:delete",
};

/// `/v1/volume/connectors`
pub(crate) static CONNECTORS: Resource = Resource {
    kind: Kind::VolumeConnector,
    path: "volume/connectors",
    key: "connectors",
    word: "volume connector",
    fields: &[
        UUID,
        CREATED,
        UPDATED,
        NODE.required(),
        body("type", 1, Form::Text(32)).required(),
        body("connector_id", 1, Form::Text(255)).required(),
        object("extra", 1),
    ],
    summary: &["uuid", "node_uuid", "type", "connector_id"],
    ident: Ident::Uuid,
    detail: Detail::Always,
    filters: &[filter("node", 1, Test::Node)],
    actions: VOLUME_ACTIONS,
};

/// `/v1/volume/targets`
pub(crate) static TARGETS: Resource = Resource {
    kind: Kind::VolumeTarget,
    path: "volume/targets",
    key: "targets",
    word: "volume target",
    fields: &[
        UUID,
        CREATED,
        UPDATED,
        NODE.required(),
        body("volume_type", 1, Form::Text(64)).required(),
        body("volume_id", 1, Form::Text(36)).required(),
        body("boot_index", 1, Form::Int(0)).required(),
        object("properties", 1),
        object("extra", 1),
    ],
    summary: &[
        "uuid",
        "node_uuid",
        "volume_type",
        "boot_index",
        "volume_id",
    ],
    ident: Ident::Uuid,
    detail: Detail::Always,
    filters: &[filter("node", 1, Test::Node)],
    actions: VOLUME_ACTIONS,
};

/// `/v1/allocations`
pub(crate) static ALLOCATIONS: Resource = Resource {
    kind: Kind::Allocation,
    path: "allocations",
    key: "allocations",
    word: "allocation",
    fields: &[
        UUID,
        CREATED,
        UPDATED,
        name(1, Form::Name),
        body_at_creation("resource_class", 1, Form::Text(80)),
        body_at_creation("traits", 1, Form::Traits)
            .default("[]")
            .unsortable(),
        body_at_creation("candidate_nodes", 1, Form::Texts)
            .default("[]")
            .unsortable(),
        field("node_uuid", 1, Place::Node, Form::ReadOnly),
        field("node", 58, Place::NodeIdent, Form::Text(255)).create(),
        shown("state", 1).default("\"allocating\""),
        object("extra", 1),
        shown("last_error", 1),
        body_at_creation("owner", 60, Form::Text(255)),
    ],
    summary: &[],
    ident: Ident::Name(1),
    detail: Detail::Whole,
    filters: &[
        filter("node", 1, Test::Node),
        filter("resource_class", 1, Test::Equals("resource_class")),
        filter("state", 1, Test::Equals("state")),
        filter("owner", 60, Test::Equals("owner")),
    ],
    actions: Actions {
        list: "baremetal:allocation:list_all",
        get: "baremetal:allocation:get",
        create: "baremetal:allocation:create",
        update: "baremetal:allocation:update",
        delete: "baremetal:allocation:delete",
    },
};

/// Given at creation only.
const fn body_at_creation(name: &'static str, since: u16, form: Form) -> Field {
    field(name, since, Place::Body, form).create()
}

/// `/v1/deploy_templates`
pub(crate) static TEMPLATES: Resource = Resource {
    kind: Kind::DeployTemplate,
    path: "deploy_templates",
    key: "deploy_templates",
    word: "deploy_template",
    fields: &[
        UUID,
        CREATED,
        UPDATED,
        name(1, Form::TraitName).required(),
        body("steps", 1, Form::TemplateSteps)
            .required()
            .unsortable(),
        object("extra", 1),
    ],
    summary: &["uuid", "name"],
    ident: Ident::Name(1),
    detail: Detail::Always,
    filters: &[],
    actions: Actions {
        list: "baremetal:deploy_template:get",
        get: "baremetal:deploy_template:get",
        create: "baremetal:deploy_template:create",
        update: "baremetal:deploy_template:update",
        delete: "baremetal:deploy_template:delete",
    },
};

/// `/v1/runbooks`
pub(crate) static RUNBOOKS: Resource = Resource {
    kind: Kind::Runbook,
    path: "runbooks",
    key: "runbooks",
    word: "runbook",
    fields: &[
        UUID,
        CREATED,
        UPDATED,
        name(1, Form::RunbookName).required(),
        body("steps", 1, Form::RunbookSteps).required().unsortable(),
        body("disable_ramdisk", 1, Form::Flag).default("false"),
        object("extra", 1),
        body("public", 1, Form::Flag).default("false"),
        body("owner", 1, Form::Text(255)),
        body("description", 112, Form::Text(255)),
        body("traits", 112, Form::Traits).default("[]").unsortable(),
    ],
    summary: &["uuid", "name"],
    ident: Ident::Name(1),
    detail: Detail::Always,
    filters: &[filter("project", 1, Test::Project)],
    actions: Actions {
        list: "baremetal:runbook:list_all",
        get: "baremetal:runbook:get",
        create: "baremetal:runbook:create",
        update: "baremetal:runbook:update",
        delete: "baremetal:runbook:delete",
    },
};

/// `/v1/inspection_rules`
pub(crate) static RULES: Resource = Resource {
    kind: Kind::InspectionRule,
    path: "inspection_rules",
    key: "inspection_rules",
    word: "inspection rule",
    fields: &[
        UUID,
        CREATED,
        UPDATED,
        body("description", 1, Form::Text(255)),
        body("priority", 1, Form::Int(0)).default("0"),
        body("phase", 1, Form::Text(16)).default("\"main\""),
        body("sensitive", 1, Form::Flag).default("false"),
        body("conditions", 1, Form::Conditions)
            .default("[]")
            .unsortable(),
        body("actions", 1, Form::RuleActions)
            .required()
            .unsortable(),
    ],
    summary: &["uuid", "priority", "phase", "description"],
    ident: Ident::Uuid,
    detail: Detail::Always,
    filters: &[filter("phase", 1, Test::Equals("phase"))],
    actions: Actions {
        list: "baremetal:inspection_rule:list_all",
        get: "baremetal:inspection_rule:get",
        create: "baremetal:inspection_rule:create",
        update: "baremetal:inspection_rule:update",
        delete: "baremetal:inspection_rule:delete",
    },
};

/// `/v1/nodes/{node}/history`
pub(crate) static HISTORY: Resource = Resource {
    kind: Kind::History,
    path: "history",
    key: "history",
    word: "history",
    fields: &[
        UUID,
        CREATED,
        shown("severity", 1),
        shown("event", 1),
        shown("event_type", 1),
        shown("conductor", 1),
        shown("user", 1),
        shown("project", 1),
        shown("state", 115),
        shown("target_provision_state", 115),
        shown("duration_seconds", 115),
    ],
    summary: &["uuid", "created_at", "severity", "event"],
    ident: Ident::Uuid,
    detail: Detail::Always,
    filters: &[],
    actions: Actions {
        list: "baremetal:node:history:get",
        get: "baremetal:node:history:get",
        create: "baremetal:node:history:get",
        update: "baremetal:node:history:get",
        delete: "baremetal:node:history:get",
    },
};
