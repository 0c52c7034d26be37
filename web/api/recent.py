"""Finds the newest partners: in the memory of the process, else in Redis."""

from __future__ import annotations

from collections.abc import Sequence

from flask import jsonify

from warmer.flow.forget import wait_for_acknowledgements
from warmer.keys import Subject
from warmer.state.remembered import LIST_SECONDS, read_ids_to_remember
from web.api.context import ApiContext
from web.api.lists import PartnerList
from web.api.partner_json import show_partners
from web.context import get_context


def find_list(limit: int) -> PartnerList:
    """Return the list in memory. If there is none, read it from Redis and remember it."""
    context = get_context(ApiContext)
    memory = context.lists
    context.listener.ensure_started()
    if (known := memory.get(limit)) is not None:
        return known
    if not memory.hears_purges:
        return read_list(context.people.list_recent_ids(limit))
    generation, read_at = memory.get_generation(), context.clock()
    ids, is_noted = read_ids_to_remember(context.redis, context.keys, limit)
    found = read_list(ids)
    if is_noted:
        memory.put(limit, found, read_at, generation)
    return found


def read_list(ids: Sequence[int]) -> PartnerList:
    """Return the partners with these ids, as Redis has them now. An id that is not registered is left out."""
    context = get_context(ApiContext)
    people = [person for person in context.people.get_many(ids) if person.is_registered]
    shown = show_partners(people, context)
    pairs = zip(people, shown, strict=True)
    warming = [person.subject for person, view in pairs if view["photo_status"] == "warming"]
    subjects = frozenset(name for person in people for name in (person.subject, Subject.of_person(person.id)))
    return PartnerList(jsonify(partners=shown).get_data(), warming, subjects)


def wait_until_listed() -> None:
    """Wait until no process lists from memory what was read before a registration.

    It waits at most as long as a list is remembered.
    """
    context = get_context(ApiContext)
    context.breaker.end_request()  # waiting for other processes is not the fault of a slow Redis
    wait_for_acknowledgements(context.redis, context.keys, LIST_SECONDS)
