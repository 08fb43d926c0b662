"""Roles, permissions and accounts. Permissions are kept and shown; only one thing acts: without any nobody logs in."""

from typing import Any

from pyVmomi import vim

from homelab.rehearsal.soap.managed import Managed, ref, writes
from homelab.rehearsal.soap.taken import refuse_rest
from homelab.rehearsal.soap.wire import fault
from homelab.rehearsal.state.people import Permission, Person, Role
from homelab.rehearsal.state.refusals import AlreadyExists, InvalidArgument, NotFound

ROOT = ("Folder", "ha-folder-root")
ADMIN = -1
ACCOUNT = ("id", "password", "description")
# What a real host calls them (govmomi's capture, simulator/esx/authorization_manager.go).
SYSTEM = {
    -5: ("NoAccess", "No access", "Used for restricting granted access", []),
    -4: ("Anonymous", "Anonymous", "Not logged-in user (cannot be granted)", ["System.Anonymous"]),
    -3: ("View", "View", "Visibility access (cannot be granted)", ["System.Anonymous", "System.View"]),
    -2: ("ReadOnly", "Read-only", "See details of objects, but not make changes", ["System.Read", "System.View"]),
    ADMIN: ("Admin", "Administrator", "Full access rights", ["System.Anonymous", "System.Read", "System.View"]),
}
GRANTED = (-5, -2, ADMIN)
USED = "The role is used by a permission."


class AuthorizationManager(Managed):
    """Roles, and who has which where."""

    moid = "ha-authmgr"

    @property
    def roleList(self) -> Any:
        """The system's roles, and those that somebody made."""
        kind = vim.AuthorizationManager.Role
        made = self._host.settings.made_roles
        system = [
            kind(roleId=key, system=True, name=name, info=vim.Description(label=label, summary=text), privilege=rights)
            for key, (name, label, text, rights) in SYSTEM.items()
        ]
        return system + [
            kind(
                roleId=key,
                system=False,
                name=role.name,
                info=vim.Description(label=role.name, summary=role.name),
                privilege=role.privileges,
            )
            for key, role in made.items()
        ]

    @writes
    def AddAuthorizationRole(self, name: str, privIds: Any) -> int:
        """A new role; AlreadyExists."""
        with self._host.lock:
            made = self._host.settings.made_roles
            self._check_name(name)
            key = max(made, default=0) + 1
            made[key] = Role(name, [*privIds])
            self._host.touch()
            return key

    @writes
    def UpdateAuthorizationRole(self, roleId: int, newName: str, privIds: Any) -> None:
        """Another name, other privileges; NotFound, and InvalidArgument for a role of the system."""
        with self._host.lock:
            role = self._made(roleId)
            if newName != role.name:
                self._check_name(newName)
            role.name, role.privileges = newName, [*privIds]
            self._host.touch()

    @writes
    def RemoveAuthorizationRole(self, roleId: int, failIfUsed: bool) -> None:
        """Remove a role, with its permissions; RemoveFailed when it is used and is not to be then."""
        with self._host.lock:
            self._made(roleId)
            settings = self._host.settings
            if failIfUsed and any(one.role == roleId for one in settings.permissions):
                raise fault("RemoveFailed", USED)
            settings.permissions = [one for one in settings.permissions if one.role != roleId]
            del settings.made_roles[roleId]
            self._host.touch()

    def RetrieveAllPermissions(self) -> Any:
        """Every permission; root's is always there."""
        return [self._shown(Permission(*ROOT, self._host.account.user, ADMIN)), *map(self._shown, self._all())]

    def RetrieveRolePermissions(self, roleId: int) -> Any:
        """The permissions of a role."""
        self._check_role(roleId)
        return [one for one in self.RetrieveAllPermissions() if one.roleId == roleId]

    def RetrieveEntityPermissions(self, entity: Any, inherited: bool) -> Any:
        """The permissions on an object; with those of the root, which everything inherits."""
        places = [entity, ref(*ROOT)] if inherited else [entity]
        return [one for one in self.RetrieveAllPermissions() if one.entity in places]

    @writes
    def SetEntityPermissions(self, entity: Any, permission: Any) -> None:
        """Give or change permissions on an object; UserNotFound, and NotFound for a role."""
        with self._host.lock:
            settings = self._host.settings
            for one in permission or ():
                if one.principal not in settings.people or one.group:
                    raise fault("UserNotFound", f"{one.principal} could not be found", principal=one.principal)
                self._check_role(one.roleId)
            for one in permission or ():
                self._forget(entity, one.principal)
                kind = type(entity)._wsdlName
                settings.permissions.append(
                    Permission(kind, entity._moId, one.principal, one.roleId, bool(one.propagate))
                )
            self._host.touch()

    @writes
    def RemoveEntityPermission(self, entity: Any, user: str, isGroup: bool) -> None:
        """Take a permission away; NotFound."""
        with self._host.lock:
            if isGroup or not self._forget(entity, user):
                raise NotFound("The object or item referred to could not be found.")
            self._host.touch()

    def _all(self) -> list[Permission]:
        return list(self._host.settings.permissions)

    def _forget(self, entity: Any, user: str) -> bool:
        settings = self._host.settings
        kept = [one for one in settings.permissions if (one.moid, one.principal) != (entity._moId, user)]
        found = len(kept) < len(settings.permissions)
        settings.permissions = kept
        return found

    def _shown(self, one: Permission) -> Any:
        return vim.AuthorizationManager.Permission(
            entity=ref(one.kind, one.moid),
            principal=one.principal,
            group=False,
            roleId=one.role,
            propagate=one.propagates,
        )

    def _made(self, key: int) -> Role:
        if key in SYSTEM:
            raise InvalidArgument("A specified parameter was not correct: roleId", invalidProperty="roleId")
        self._check_role(key)
        return self._host.settings.made_roles[key]

    def _check_role(self, key: int) -> None:
        if key not in (*GRANTED, *self._host.settings.made_roles):
            raise NotFound("The object or item referred to could not be found.")

    def _check_name(self, name: str) -> None:
        if any(role.name == name for role in self.roleList):
            raise AlreadyExists(f"The name '{name}' already exists.", name=name)


class HostLocalAccountManager(Managed):
    """Accounts of people."""

    moid = "ha-localacctmgr"

    @writes
    def CreateUser(self, user: Any) -> None:
        """A new account; AlreadyExists. It can log in once it has a permission."""
        refuse_rest(user, ACCOUNT)
        with self._host.lock:
            people = self._host.settings.people
            if user.id in people or user.id == self._host.account.user:
                raise AlreadyExists(f"The name '{user.id}' already exists.", name=user.id)
            people[user.id] = Person(user.password or "", user.description or "")
            self._host.touch()

    @writes
    def UpdateUser(self, user: Any) -> None:
        """Another password or description; UserNotFound."""
        refuse_rest(user, ACCOUNT)
        with self._host.lock:
            person = self._person(user.id)
            person.password = user.password or person.password
            person.description = person.description if user.description is None else user.description
            self._host.touch()

    @writes
    def RemoveUser(self, userName: str) -> None:
        """Remove an account, with its permissions; UserNotFound."""
        with self._host.lock:
            self._person(userName)
            settings = self._host.settings
            del settings.people[userName]
            settings.permissions = [one for one in settings.permissions if one.principal != userName]
            self._host.touch()

    def _person(self, name: str) -> Person:
        if name == self._host.account.user:
            raise fault("NotSupported", f"Changing {name} is not part of the rehearsal")
        if name not in self._host.settings.people:
            raise fault("UserNotFound", f"{name} could not be found", principal=name, unresolved=True)
        return self._host.settings.people[name]
