"""The entrance: the service instance, sessions and tasks."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pyVmomi import vim

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.soap import versions
from homelab.rehearsal.soap.managed import Managed, anonymous, ref
from homelab.rehearsal.soap.objects import absent
from homelab.rehearsal.soap.sessions import Session
from homelab.rehearsal.soap.tasks import TaskState
from homelab.rehearsal.soap.wire import fault

MANAGERS = {
    "accountManager": ("HostLocalAccountManager", "ha-localacctmgr"),
    "diagnosticManager": ("DiagnosticManager", "ha-diagnosticmgr"),
    "vStorageObjectManager": ("HostVStorageObjectManager", "ha-vstorage-object-manager"),
    "perfManager": ("PerformanceManager", "ha-perfmgr"),
    "authorizationManager": ("AuthorizationManager", "ha-authmgr"),
    "propertyCollector": ("PropertyCollector", "ha-property-collector"),
    "viewManager": ("ViewManager", "ViewManager"),
    "sessionManager": ("SessionManager", "ha-sessionmgr"),
    "taskManager": ("TaskManager", "ha-taskmgr"),
    "eventManager": ("EventManager", "ha-eventmgr"),
    "setting": ("OptionManager", "HostAgentSettings"),
    "licenseManager": ("LicenseManager", "ha-license-manager"),
    "searchIndex": ("SearchIndex", "ha-searchindex"),
    "fileManager": ("FileManager", "ha-nfc-file-manager"),
    "ovfManager": ("OvfManager", "ha-ovf-manager"),
    "virtualDiskManager": ("VirtualDiskManager", "ha-vdiskmanager"),
}


def about(host: Host) -> Any:
    """The product, as every part of the API tells it."""
    version = ".".join(host.version.split(".")[:2])
    return vim.AboutInfo(
        name="VMware ESXi",
        fullName=f"VMware ESXi {host.version} build-{host.build}",
        vendor="VMware, Inc.",
        version=host.version,
        build=host.build,
        localeVersion="INTL",
        localeBuild="000",
        osType="vmnix-x86",
        productLineId="embeddedEsx",
        apiType="HostAgent",
        apiVersion=versions.api_version(host.version),
        licenseProductName="VMware ESX Server",
        licenseProductVersion=f"{version.split('.')[0]}.0",
    )


class ServiceInstance(Managed):
    """Where every client begins."""

    moid = "ServiceInstance"

    @property
    def content(self) -> Any:
        """The product and its managers."""
        managers = {name: ref(*target) for name, target in (MANAGERS | absent.CONTENT).items()}
        return vim.ServiceInstanceContent(
            rootFolder=ref("Folder", "ha-folder-root"), about=about(self._host), **managers
        )

    @property
    def serverClock(self) -> datetime:
        """The host's time."""
        return self._host.now()

    @anonymous
    def RetrieveServiceContent(self) -> Any:
        """The product and its managers, before any login."""
        return self.content

    def CurrentTime(self) -> datetime:
        """The host's time."""
        return self._host.now()


class SessionManager(Managed):
    """Logins."""

    moid = "ha-sessionmgr"

    @property
    def currentSession(self) -> Any:
        """The session that asks."""
        return self._user_session(self._caller.session)

    @property
    def sessionList(self) -> Any:
        """Every session that lives."""
        return [self._user_session(session) for session in self._face.sessions.live()]

    @anonymous
    def Login(self, userName: str, password: str, locale: str | None) -> Any:
        """A new session; InvalidLogin for a wrong password, a wrong name and a locked account alike."""
        if not self._host.account.login(userName, password):
            raise fault("InvalidLogin", "Cannot complete login due to an incorrect user name or password.")
        text = f"User {userName}@{self._caller.address} logged in as {self._caller.agent}"
        self._host.journal.add("UserLoginSessionEvent", text, user=userName)
        self._caller.session = self._face.sessions.open(userName, self._caller.address, self._caller.agent)
        return self._user_session(self._caller.session)

    def Logout(self) -> None:
        """The end of the session."""
        assert self._caller.session is not None
        user = self._caller.session.user
        self._host.journal.add("UserLogoutSessionEvent", f"User {user}@{self._caller.address} logged out", user=user)
        self._face.sessions.close(self._caller.session)
        self._host.touch(dirty=False)

    def SessionIsActive(self, sessionID: str, userName: str) -> bool:
        """Whether somebody's session lives."""
        return any((one.key, one.user) == (sessionID, userName) for one in self._face.sessions.live())

    def TerminateSession(self, sessionId: Any) -> None:
        """End others' sessions, all or none; NotFound for one that is not there, InvalidArgument for one's own."""
        live = {session.key: session for session in self._face.sessions.live()}
        for key in sessionId:
            if key not in live:
                raise fault("NotFound", "The object or item referred to could not be found.")
            if live[key] is self._caller.session:
                message = "A specified parameter was not correct: sessionId"
                raise fault("InvalidArgument", message, invalidProperty="sessionId")
        for key in sessionId:
            self._face.sessions.close(live[key])
        self._host.touch(dirty=False)

    def _user_session(self, session: Session | None) -> Any:
        if session is None:
            return None
        return vim.UserSession(
            key=session.key,
            userName=session.user,
            fullName="Administrator",
            loginTime=session.login_time,
            lastActiveTime=session.last_active,
            locale="en",
            messageLocale="en",
            extensionSession=False,
            ipAddress=session.address,
            userAgent=session.agent,
            callCount=session.calls,
        )


class TaskManager(Managed):
    """What is under way."""

    moid = "ha-taskmgr"

    @property
    def recentTask(self) -> Any:
        """The last tasks."""
        return [ref("Task", task.key) for task in self._face.tasks.recent()]

    @property
    def maxCollector(self) -> int:
        """How many history collectors a client may have."""
        return 0


class Task(Managed):
    """One task."""

    @classmethod
    def ids(cls, face: Any, caller: Any) -> Iterator[str]:
        """Every task that is remembered."""
        yield from list(face.tasks.all)

    @property
    def info(self) -> Any:
        """How the task stands."""
        task: TaskState = self._face.tasks.all[self._moid]
        session = self._caller.session
        return vim.TaskInfo(
            key=task.key,
            task=self._ref,
            descriptionId=task.description,
            entity=task.entity if isinstance(task.entity, vim.ManagedEntity) else None,
            entityName=task.entity_name,
            state=task.state,
            cancelled=task.cancelled,
            cancelable=task.cancelable,
            error=task.error,
            result=task.result,
            progress=task.progress,
            reason=vim.TaskReasonUser(userName=session.user if session else ""),
            queueTime=task.queued,
            startTime=task.started,
            completeTime=task.completed,
            eventChainId=task.chain,
        )

    def CancelTask(self) -> None:
        """Stop waiting; InvalidState for a task that is over, NotSupported for one that cannot be stopped."""
        task: TaskState = self._face.tasks.all[self._moid]
        with self._host.lock:
            if task.completed:
                raise fault("InvalidState", "The operation is not allowed in the current state.")
            if not task.cancelable:
                raise fault("NotSupported", "The task cannot be canceled.")
            task.cancelled = True
            self._host.touch(dirty=False)
