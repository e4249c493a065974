//! The table itself, in the order of the wire (api-nodes.md §1).

use super::{Input, Look, NodeField, Shown, input, write_json};
use crate::out::Out;
use baton_model::hardware::Slot;
use baton_model::node::provision::ProvisionState;

type Write = fn(&mut Out, &Shown, &Look<'_>);

/// Read-only, selectable, sortable.
const fn field(name: &'static str, since: u16, write: Write) -> NodeField {
    NodeField {
        name,
        since,
        selectable: true,
        sortable: true,
        create: false,
        patch: false,
        input: Input::ReadOnly,
        write,
    }
}

impl NodeField {
    const fn unsortable(mut self) -> Self {
        self.sortable = false;
        self
    }

    const fn unselectable(mut self) -> Self {
        self.selectable = false;
        self
    }

    /// Settable at creation only.
    const fn create(mut self, input: Input) -> Self {
        self.create = true;
        self.input = input;
        self
    }

    /// Settable by PATCH only.
    const fn patch(mut self, input: Input) -> Self {
        self.patch = true;
        self.input = input;
        self
    }

    /// Settable at creation and by PATCH.
    const fn set(self, input: Input) -> Self {
        self.create(input).patch(input)
    }
}

const fn interface(name: &'static str, since: u16, slot: Slot, write: Write) -> NodeField {
    field(name, since, write).set(Input::Interface(slot))
}

fn put_interface(out: &mut Out, shown: &Shown, slot: Slot) {
    let name = slot.of(&shown.node.interfaces);
    out.opt_str((!name.is_empty()).then_some(name));
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only two states have old names"
)]
fn provision_state(out: &mut Out, shown: &Shown, look: &Look<'_>) {
    match shown.node.provision_state {
        // `available` is the null of clients from before 1.2.
        ProvisionState::Available if !look.version.has(2) => out.raw("null"),
        ProvisionState::InspectWait if !look.version.has(39) => {
            out.str(ProvisionState::Inspecting.as_str())
        }
        state => out.str(state.as_str()),
    };
}

/// Every field of a node.
pub(crate) static NODE_FIELDS: &[NodeField] = &[
    field("uuid", 1, |o, s, _| {
        o.opt_uuid(Some(s.node.id.0));
    })
    .create(Input::Uuid),
    field("created_at", 1, |o, s, _| {
        o.opt_time(Some(s.node.created_at));
    })
    .unselectable(),
    field("updated_at", 1, |o, s, _| {
        o.opt_time(s.node.updated_at);
    })
    .unselectable(),
    field("automated_clean", 47, |o, s, _| {
        o.opt_bool(s.node.automated_clean);
    })
    .set(Input::Edit(input::automated_clean)),
    interface("bios_interface", 40, Slot::Bios, |o, s, _| {
        put_interface(o, s, Slot::Bios);
    }),
    interface("boot_interface", 31, Slot::Boot, |o, s, _| {
        put_interface(o, s, Slot::Boot);
    }),
    interface("console_interface", 31, Slot::Console, |o, s, _| {
        put_interface(o, s, Slot::Console);
    }),
    interface("deploy_interface", 31, Slot::Deploy, |o, s, _| {
        put_interface(o, s, Slot::Deploy);
    }),
    interface("firmware_interface", 86, Slot::Firmware, |o, s, _| {
        put_interface(o, s, Slot::Firmware);
    }),
    interface("inspect_interface", 31, Slot::Inspect, |o, s, _| {
        put_interface(o, s, Slot::Inspect);
    }),
    interface("management_interface", 31, Slot::Management, |o, s, _| {
        put_interface(o, s, Slot::Management);
    }),
    interface("network_interface", 20, Slot::Network, |o, s, _| {
        put_interface(o, s, Slot::Network);
    }),
    interface("power_interface", 31, Slot::Power, |o, s, _| {
        put_interface(o, s, Slot::Power);
    }),
    interface("raid_interface", 31, Slot::Raid, |o, s, _| {
        put_interface(o, s, Slot::Raid);
    }),
    interface("rescue_interface", 38, Slot::Rescue, |o, s, _| {
        put_interface(o, s, Slot::Rescue);
    }),
    interface("storage_interface", 33, Slot::Storage, |o, s, _| {
        put_interface(o, s, Slot::Storage);
    }),
    interface("vendor_interface", 31, Slot::Vendor, |o, s, _| {
        put_interface(o, s, Slot::Vendor);
    }),
    field("boot_mode", 75, |o, s, _| {
        o.opt_str(s.node.boot_mode.as_deref());
    })
    .create(Input::Edit(input::boot_mode)),
    field("clean_step", 7, |o, s, l| {
        write_json(o, &s.node.clean_step, l, &[])
    })
    .unsortable(),
    field("conductor_group", 46, |o, s, _| {
        o.str(&s.node.conductor_group);
    })
    .set(Input::Edit(input::conductor_group)),
    field("console_enabled", 1, |o, s, _| {
        o.bool(s.node.console_enabled);
    })
    .create(Input::Edit(input::console_enabled)),
    field("deploy_step", 44, |o, s, l| {
        write_json(o, &s.node.deploy_step, l, &[])
    })
    .unsortable(),
    field("disable_power_off", 95, |o, s, _| {
        o.bool(s.node.disable_power_off);
    })
    .set(Input::Edit(input::disable_power_off)),
    field("description", 51, |o, s, _| {
        o.opt_str(s.node.description.as_deref());
    })
    .set(Input::Edit(input::description)),
    field("driver", 1, |o, s, _| {
        o.str(&s.node.driver);
    })
    .set(Input::Driver),
    field("driver_info", 1, |o, s, l| {
        write_json(
            o,
            &s.node.driver_info,
            l,
            &["snmp_auth_key", "snmp_priv_key"],
        );
    })
    .unsortable()
    .set(Input::Edit(input::driver_info)),
    field("driver_internal_info", 3, |o, s, l| {
        write_json(o, &s.node.driver_internal_info, l, &[]);
    })
    .unsortable(),
    field("extra", 1, |o, s, l| {
        // Not masked by Ironic either: it is the users' own notebook.
        let plain = Look {
            masked: false,
            ..*l
        };
        write_json(o, &s.node.extra, &plain, &[]);
    })
    .unsortable()
    .set(Input::Edit(input::extra)),
    field("fault", 42, |o, s, _| {
        o.opt_str(s.node.fault.map(|fault| fault.as_str()));
    }),
    field("health", 109, |o, s, _| {
        o.opt_str(s.node.health.as_deref());
    }),
    field("inspection_started_at", 6, |o, s, _| {
        o.opt_time(s.node.inspection_started_at);
    }),
    field("inspection_finished_at", 6, |o, s, _| {
        o.opt_time(s.node.inspection_finished_at);
    }),
    field("instance_info", 1, |o, s, l| {
        write_json(o, &s.node.instance_info, l, &["configdrive", "image_url"]);
    })
    .unsortable()
    .set(Input::Edit(input::instance_info)),
    field("instance_name", 104, |o, s, _| {
        o.opt_str(s.node.instance_name.as_deref());
    })
    .set(Input::Edit(input::instance_name)),
    field("instance_uuid", 1, |o, s, _| {
        o.opt_uuid(s.node.instance_uuid);
    })
    .set(Input::Edit(input::instance_uuid)),
    field("last_error", 1, |o, s, _| {
        o.opt_str(s.node.last_error.as_deref());
    }),
    field("lessee", 65, |o, s, _| {
        o.opt_str(s.node.lessee.as_deref());
    })
    .set(Input::Edit(input::lessee)),
    field("maintenance", 1, |o, s, _| {
        o.bool(s.node.maintenance);
    })
    .set(Input::Edit(input::maintenance)),
    field("maintenance_reason", 1, |o, s, _| {
        o.opt_str(s.node.maintenance_reason.as_deref());
    }),
    field("name", 5, |o, s, _| {
        o.opt_str(s.node.name.as_deref());
    })
    .set(Input::Edit(input::name)),
    field("network_data", 66, |o, s, l| {
        write_json(o, &s.node.network_data, l, &[])
    })
    .unsortable()
    .set(Input::Edit(input::network_data)),
    field("owner", 50, |o, s, _| {
        o.opt_str(s.node.owner.as_deref());
    })
    .set(Input::Edit(input::owner)),
    field("parent_node", 83, |o, s, _| {
        o.opt_uuid(s.node.parent_node.map(|parent| parent.0));
    })
    .set(Input::Edit(input::parent_node)),
    field("power_state", 1, |o, s, _| {
        o.opt_str(s.node.power_state.map(|state| state.as_str()));
    }),
    field("properties", 1, |o, s, l| {
        let plain = Look {
            masked: false,
            ..*l
        };
        write_json(o, &s.node.properties, &plain, &[]);
    })
    .unsortable()
    .set(Input::Edit(input::properties)),
    field("protected", 48, |o, s, _| {
        o.bool(s.node.protected);
    })
    .patch(Input::Edit(input::protected)),
    field("protected_reason", 48, |o, s, _| {
        o.opt_str(s.node.protected_reason.as_deref());
    })
    .patch(Input::Edit(input::protected_reason)),
    field("provision_state", 1, provision_state),
    field("provision_updated_at", 1, |o, s, _| {
        o.opt_time(s.node.provision_updated_at);
    }),
    field("raid_config", 12, |o, s, l| {
        write_json(o, &s.node.raid_config, l, &[])
    })
    .unsortable(),
    field("target_raid_config", 12, |o, s, l| {
        write_json(o, &s.node.target_raid_config, l, &[]);
    })
    .unsortable(),
    field("reservation", 1, |o, s, _| {
        o.opt_str(s.reservation.as_deref());
    }),
    field("resource_class", 21, |o, s, _| {
        o.opt_str(s.node.resource_class.as_deref());
    })
    .set(Input::Edit(input::resource_class)),
    field("retired", 61, |o, s, _| {
        o.bool(s.node.retired);
    })
    .set(Input::Edit(input::retired)),
    field("retired_reason", 61, |o, s, _| {
        o.opt_str(s.node.retired_reason.as_deref());
    })
    .set(Input::Edit(input::retired_reason)),
    field("secure_boot", 75, |o, s, _| {
        o.opt_bool(s.node.secure_boot);
    })
    .create(Input::Edit(input::secure_boot)),
    field("service_step", 87, |o, s, l| {
        write_json(o, &s.node.service_step, l, &[])
    })
    .unsortable(),
    field("shard", 82, |o, s, _| {
        o.opt_str(s.node.shard.as_deref());
    })
    .set(Input::Edit(input::shard)),
    field("target_power_state", 1, |o, s, _| {
        o.opt_str(s.node.target_power_state.map(|state| state.as_str()));
    }),
    field("target_provision_state", 1, |o, s, _| {
        o.opt_str(s.node.target_provision_state.map(ProvisionState::as_str));
    }),
    field("traits", 37, |o, s, _| {
        o.raw("[");
        for (at, name) in s.node.traits.iter().enumerate() {
            if at > 0 {
                o.raw(",");
            }
            o.str(name);
        }
        o.raw("]");
    })
    .unsortable(),
    field("conductor", 49, |o, s, _| {
        o.opt_str(s.conductor.as_deref());
    })
    .unsortable(),
    field("allocation_uuid", 52, |o, s, _| {
        o.opt_uuid(s.node.allocation_uuid);
    })
    .unsortable(),
    field("chassis_uuid", 1, |o, s, _| {
        o.opt_uuid(s.node.chassis_uuid);
    })
    .unsortable()
    .set(Input::Edit(input::chassis_uuid)),
];
