"""The generated half of the demo's input: what the real data set lacks, told as small stories.

The real events know no logins, e-mail addresses, consents, tills or apps. Each function below adds one
story around real visitors, chosen by what they really did and shuffled by the seed. Every generated
event carries `context.generated = true` and the name of its story in `context.story`.

The stories are told in the order of `STORIES`; a visitor is cast in one of them, so that each shows one
thing. Carts are abandoned after 15 minutes, checkouts after 10, searches after 5. What was never granted is
not consented to, so most visitors have no consent at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from flows.demo.stage import Arrival, Event, Person, Stage
from flows.demo.visits import CART_TIMER, Cart, rfc3339

CHECKOUT_TIMER = 10 * 60
SEARCH_TIMER = 5 * 60
TO_BE_AT_RISK = 10 * 7 * 86_400  # who bought once, by the rule that serves while there is no model
BIG_BASKET = 1_000  # what makes a cart one of high value
SEED = 20191001
WHO = ("email", "phone", "firstName", "lastName", "loyaltyNumber")


def overlay(real: Sequence[Event], seed: int = SEED) -> list[Arrival]:
    """The generated records, in the order they arrive. `real` are the converted events by time."""
    stage = Stage(real, seed, CART_TIMER, CHECKOUT_TIMER)
    known = known_customers(stage)
    for story in STORIES:
        stage.story = story.__name__
        story(stage, known)
    stage.story = "repeated_and_broken_records"
    duplicates(stage)
    broken_records(stage)
    return sorted(stage.said, key=lambda record: record.at)


def known_customers(stage: Stage) -> list[Person]:
    """60 customers from before. In the first three minutes the CRM sends who they are and what they
    consented to (e-mail: all but every eighth, who refused; push: every second), the till sends in-store
    orders of every second one, and the app of every third one opens with its device id and push token. Who
    consented to push and has no app cannot be reached.

    These orders name no cart and would close every open cart of the customer, hence the early hour.
    """
    stage.story = "known_customers"
    known = [stage.person() for _ in range(60)]
    for n, person in enumerate(known):
        at = stage.start + 2 * n
        stage.identify("crm", at, person.traits(*WHO), userId=person.userId)
        stage.consent("crm", at + 1, "email", n % 8 != 7, userId=person.userId)
        if n % 2 == 0:
            stage.consent("crm", at + 1, "push", True, userId=person.userId)
            stage.order(at + 20, context={"traits": person.traits("loyaltyNumber")})
        if n % 3 == 0:
            device = stage.app(person.device)
            stage.track("app", at + 30, "Application Opened", {}, userId=person.userId, context=device)
    return known


def _next(known: list[Person], refuses: bool = False, app: bool = False) -> Person:
    """Takes the next known customer who refused e-mail or not, and has the app where that is asked for."""
    for n, person in enumerate(known):
        number = int(person.userId.removeprefix("user-"))
        if (number % 8 == 7) == refuses and (not app or number % 3 == 0):
            return known.pop(n)
    raise LookupError("no such known customer is left")


def two_carts_of_one_visitor(stage: Stage, known: list[Person]) -> None:
    """Every visitor who really abandoned two carts grants e-mail after the first: the cooldown holds the
    second trigger back."""
    by_visitor = sorted(stage.abandoned, key=lambda cart: (cart.visitor, cart.changed))
    for _, group in groupby(by_visitor, key=lambda cart: cart.visitor):
        carts = list(group)
        if len(carts) > 1 and stage.cast(carts, 1):
            _sign_up(stage, carts[0].visitor, carts[0].changed + 45, email=True)


def known_customers_log_in(stage: Stage, known: list[Person]) -> None:
    """Seven visitors with an open cart log in as known customers, which merges two customers. The consent
    comes from one half, the cart from the other. Five granted e-mail and log in before the cart's timer
    is due; one refused; one logs in a minute after the timer found no consent."""
    for n, cart in enumerate(stage.cast(stage.abandoned, 7)):
        person = _next(known, refuses=n == 5)
        # The first two also have a checkout, whose shorter timer must find the consent, too.
        latest = CHECKOUT_TIMER - 60 if n < 2 else CART_TIMER - 60
        wait = CART_TIMER + 60 if n == 6 else stage.rng.randint(30, latest)
        stage.identify("web", cart.changed + wait, {}, anonymousId=cart.visitor, userId=person.userId)
        if n < 2:
            stage.consented.append(cart)


def links_other_than_a_login(stage: Stage, known: list[Person]) -> None:
    """Known customers are recognised by e-mail (in other letter case), loyalty number, phone with name
    (written differently), or the app's device id: each once with an open cart, twice without."""
    for n, (visitor, at) in enumerate(
        [(cart.visitor, cart.changed + 120) for cart in stage.cast(stage.abandoned, 4)]
        + [(each.visitor, each.first + 60) for each in stage.cast(stage.bystanders, 8)]
    ):
        person = _next(known, app=n % 4 == 3)
        match n % 4:
            case 0:
                stage.identify("web", at, {"email": person.email.title()}, anonymousId=visitor)
            case 1:
                stage.identify("web", at, person.traits("loyaltyNumber"), anonymousId=visitor)
            case 2:
                number = person.phone
                written = f"{number[:2]} ({number[2:5]}) {number[5:8]}-{number[8:]}"
                traits = person.traits("firstName", "lastName") | {"phone": written}
                stage.identify("web", at, traits, anonymousId=visitor)
            case _:
                device = {"device": {"id": person.device}}
                stage.track("app", at, "Application Opened", {}, anonymousId=visitor, context=device)


def one_person_in_two_browsers(stage: Stage, known: list[Person]) -> None:
    """Two visitors with an abandoned cart each are the same new customer, who signs up in the first
    browser and logs in to the second: one trigger, the second is held back by the cooldown."""
    pair = sorted(stage.cast(stage.abandoned, 2), key=lambda cart: cart.changed)
    person = None
    for cart in pair:
        if person is None:
            person = _sign_up(stage, cart.visitor, cart.changed + 60, email=True)
        else:
            stage.identify("web", cart.changed + 60, {}, anonymousId=cart.visitor, userId=person.userId)


def sign_ups_with_an_open_cart(stage: Stage, known: list[Person]) -> None:
    """Three visitors with an open cart sign up and grant e-mail, three sign up and refuse, one grants
    e-mail but leaves no address, and one signs up without a word on consent."""
    for n, cart in enumerate(stage.cast(stage.abandoned, 8)):
        at = cart.changed + 15
        if n == 6:
            stage.consent("web", at, "email", True, anonymousId=cart.visitor)
        else:
            _sign_up(stage, cart.visitor, at, email=None if n == 7 else n < 3)
        if n < 3:
            stage.consented.append(cart)


def abandoned_checkouts(stage: Stage, known: list[Person]) -> None:
    """The checkout was started and not finished: for five carts with consent from the stories above, and
    for carts that are too late for the cart's timer, six with consent and the rest without."""
    for cart in stage.consented:
        _checkout(stage, cart, cart.changed + 20)
    for n, cart in enumerate(stage.cast(stage.late_carts, len(stage.late_carts))):
        if n < 6:
            _sign_up(stage, cart.visitor, cart.changed + 10, email=True)
        _checkout(stage, cart, cart.changed + 15)


def finished_checkouts(stage: Stage, known: list[Person]) -> None:
    """Twelve carts that were really bought have a checkout between the last change and the purchase;
    every second buyer signed up and granted e-mail. No trigger may come of it."""
    for n, cart in enumerate(stage.cast(stage.bought, 12)):
        assert cart.bought is not None
        middle = (cart.changed + cart.bought) // 2
        if n % 2 == 0:
            _sign_up(stage, cart.visitor, cart.changed + 2, email=True)
        properties = {"cart_id": cart.cart_id, "value": cart.value, "currency": "USD"}
        stage.track("web", middle, "Checkout Started", properties, anonymousId=cart.visitor)


def app_users_look_again(stage: Stage, known: list[Person]) -> None:
    """Of the visitors who looked at one product three times and never bought it, 24 granted push in the
    app before the third view, eight of them interested more than once (the cooldown holds the rest
    back), and every sixth of them allows no messages, which leaves no token to reach them by; five refused
    push and three granted e-mail only."""
    several = stage.cast([each for each in stage.interests if each.times > 1], 8)
    for n, each in enumerate(several + stage.cast(stage.interests, 24)):
        at = (each.first + each.third) // 2
        app = stage.app(f"{stage.rng.getrandbits(64):016x}", reachable=n % 6 != 5)
        if n < 29:
            stage.consent("app", at, "push", n < 24, anonymousId=each.visitor, context=app)
        else:
            _sign_up(stage, each.visitor, at, email=True)


def prices_fall(stage: Stage, known: list[Person]) -> None:
    """Fourteen visitors who looked at a product three times see it again in the app, 15 % cheaper. Ten had
    granted push by then, two of these without a token; two refuse; two say nothing. Two
    of those who hear of it buy it a minute later, which cancels what was sent."""
    late = stage.end - 5 * 60
    for n, each in enumerate(stage.cast([i for i in stage.interests if i.third < late], 14)):
        app = stage.app(f"{stage.rng.getrandbits(64):016x}", reachable=n not in (8, 9))
        if n < 12:
            stage.consent("app", each.third + 30, "push", n < 10, anonymousId=each.visitor, context=app)
        price = round(stage.prices[each.product_id] * 0.85, 2)
        product = {"product_id": each.product_id, "price": price, "currency": "USD"}
        who: dict[str, Any] = {"anonymousId": each.visitor, "context": app}
        stage.track("app", each.third + 90, "Product Viewed", product, **who)
        if n < 2:
            stage.buy("app", each.third + 150, [product], **who)


def searches_that_lead_nowhere(stage: Stage, known: list[Person]) -> None:
    """Sixteen visitors search after all else they did. Twelve look at nothing they found: eight of these had
    granted e-mail, one refused and three said nothing. The other four click on a result in time."""
    early = [each for each in stage.bystanders if each.last + 60 + SEARCH_TIMER < stage.end]
    for n, each in enumerate(stage.cast(early, 16)):
        query = ("red dress", "usb c hub", "garden chair", "running shoes size 46")[n % 4]
        at, who = each.last + 45, {"anonymousId": each.visitor}
        if n < 9 or n >= 12:
            _sign_up(stage, each.visitor, each.first + 5, email=n != 8)
        stage.track("web", at, "Products Searched", {"query": query}, **who)
        if n >= 12:
            product = {"product_id": stage.rng.choice(stage.catalogue)["product_id"]}
            stage.track("web", at + 20, "Product Clicked", product, **who)


def big_baskets(stage: Stage, known: list[Person]) -> None:
    """Eight visitors fill a cart in the app beyond a thousand. Six had granted e-mail: of these two take
    the dearest thing out again and one orders, each of which cancels what was sent. One refuses and one says
    nothing."""
    dear = sorted(stage.catalogue, key=lambda product: product["price"])[-4:]
    early = [each for each in stage.bystanders if each.last + 10 * 60 < stage.end]
    for n, each in enumerate(stage.cast(early, 8)):
        if n < 7:
            _sign_up(stage, each.visitor, each.first + 5, email=n != 6)
        at, who = each.last + 40, {"anonymousId": each.visitor}
        cart, total = f"generated-cart-{n}", 0.0
        lines: list[dict[str, Any]] = []
        while total < BIG_BASKET:
            product = dear[(n + len(lines)) % len(dear)]
            lines.append({key: product[key] for key in ("product_id", "price")} | {"currency": "USD"})
            total += product["price"]
            stage.track("app", at + 20 * len(lines), "Product Added", {"cart_id": cart, **lines[-1]}, **who)
        at += 20 * len(lines) + 60
        if n < 2:
            dearest = max(lines, key=lambda line: line["price"])
            stage.track("app", at, "Product Removed", {"cart_id": cart, **dearest}, **who)
        elif n == 2:
            stage.buy("app", at, lines, cart, **who)


def second_thoughts(stage: Stage, known: list[Person]) -> None:
    """Of those who heard of a cart they had left, every other one orders it after all a few minutes later,
    and the rest withdraw their consent: what was sent is cancelled."""
    early = [cart for cart in stage.consented if cart.changed + CART_TIMER + 200 < stage.end]
    for n, cart in enumerate(early[:6]):
        at, who = cart.changed + CART_TIMER + 150, {"anonymousId": cart.visitor}
        if n % 2 == 0:
            stage.buy("web", at, [{"product_id": "of the cart", "price": cart.value}], cart.cart_id, **who)
        else:
            stage.consent("web", at, "email", False, **who)


def newsletter_sign_ups(stage: Stage, known: list[Person]) -> None:
    """70 visitors without a cart sign up while browsing. Four of ten grant e-mail, one also SMS, one
    refuses, the others say nothing."""
    for n, each in enumerate(stage.cast(stage.bystanders, 70)):
        at = (each.first + each.last) // 2
        said = n % 10
        _sign_up(stage, each.visitor, at, email=True if said < 4 else False if said == 4 else None)
        if said == 0:
            stage.consent("web", at + 5, "sms", True, anonymousId=each.visitor)


def till_orders_during_the_day(stage: Stage, known: list[Person]) -> None:
    """Ten known customers whom no other story uses buy in store, recognised by their loyalty number."""
    for n in range(10):
        at = stage.end - 30 * 60 + 150 * n
        stage.order(at, context={"traits": _next(known).traits("loyaltyNumber")})


def junk_identifiers(stage: Stage, known: list[Person]) -> None:
    """Twelve visitors share four values that identify nobody. The first of each four grants e-mail and
    push; two with an open cart are among the others: a link through junk would show as a false trigger."""
    junk = (
        {"traits": {"email": "test@test.com"}},
        {"traits": {"email": "null"}},
        {"traits": {"phone": "0000000000", "firstName": "Test", "lastName": "Test"}},
        {"userId": "undefined", "traits": {}},
    )
    carts = stage.cast(stage.abandoned, 2)
    others = stage.cast(stage.bystanders, 10)
    visitors = [(each.visitor, each.first + 5) for each in sorted(others, key=lambda each: each.first)]
    visitors[4:4] = [(cart.visitor, cart.changed + 90) for cart in carts]
    for n, (visitor, at) in enumerate(visitors):
        stage.say("web", at, type="identify", anonymousId=visitor, **junk[n % 4])
        if n < 4:
            for channel in ("email", "push"):
                stage.consent("web", at + 2, channel, True, anonymousId=visitor)


def late_events(stage: Stage, known: list[Person]) -> None:
    """Three till orders of the evening before arrive with the nightly upload, three app events after a
    tunnel (2, 10 and 40 minutes late), and two from a device whose clock is a day behind: those carry
    `originalTimestamp`, `sentAt` and `receivedAt` instead of `timestamp`."""
    for n in range(3):
        traits = {"traits": _next(known).traits("loyaltyNumber")}
        stage.order(stage.start - (3 + n) * 3600, arrives=stage.start + 200 + n, context=traits)
    for minutes in (2, 10, 40):
        at = stage.end - 45 * 60
        product = {"product_id": stage.rng.choice(stage.catalogue)["product_id"]}
        user = _next(known).userId
        stage.track("app", at, "Product Viewed", product, arrives=at + 60 * minutes, userId=user)
    for n in range(2):
        at = stage.end - 20 * 60 + 60 * n
        product = {"product_id": stage.rng.choice(stage.catalogue)["product_id"]}
        event = stage.track("app", at, "Product Viewed", product, userId=_next(known).userId, arrives=at + 30)
        del event["timestamp"]
        event["originalTimestamp"], event["sentAt"] = rfc3339(at - 86_400), rfc3339(at - 86_400 + 30)
        event["receivedAt"] = rfc3339(at + 30)


def customers_who_stay_away(stage: Stage, known: list[Person]) -> None:
    """Five customers who bought once, ten weeks ago to the hour, and are scored once a week since: during
    this day they come to be at risk. Their orders come with an upload of the till. One refused e-mail."""
    for n in range(5):
        person = stage.person()
        at = stage.start + 140 + 5 * n
        stage.identify("crm", at, person.traits(*WHO), userId=person.userId)
        stage.consent("crm", at + 1, "email", n != 4, userId=person.userId)
        bought = stage.end - (1 + n) * 10 * 60 - TO_BE_AT_RISK
        stage.order(bought, arrives=at + 10, context={"traits": person.traits("loyaltyNumber")})


def duplicates(stage: Stage) -> None:
    """Eight exact duplicates, a few seconds later, and three records that reuse a `messageId` for another
    payload. Only generated events are repeated: a repeated real one could not be labelled."""
    whole = [(r.at, r.topic, r.value) for r in stage.said if isinstance(r.value, dict)]
    orders = [record for record in whole if record[2].get("event") == "Order Completed"]
    for at, topic, event in stage.rng.sample(whole, 8):
        stage.said.append(Arrival(at + stage.rng.randint(1, 20), topic, event))
    for at, topic, event in stage.rng.sample(orders, 3):
        changed = event | {"properties": event["properties"] | {"coupon": "reused-id"}}
        stage.said.append(Arrival(at + 7, topic, changed))


def broken_records(stage: Stage) -> None:
    """Six records for the dead letters: cut-off JSON, no JSON at all, a price in words, no `messageId`,
    no identifier, and a time that is none."""
    at = stage.end - 25 * 60
    price = {"product_id": stage.catalogue[0]["product_id"], "price": "abc"}
    fine = {"product_id": stage.catalogue[0]["product_id"]}
    stage.said.append(Arrival(at, "web", '{"type":"track","messageId":"generated-cut-off","anonym'))
    stage.said.append(Arrival(at + 60, "pos", "ERROR 504 upstream timed out"))
    stage.track("web", at + 120, "Product Viewed", price, anonymousId="rees46-broken")
    del stage.track("app", at + 180, "Product Viewed", fine, anonymousId="rees46-broken")["messageId"]
    stage.track("app", at + 240, "Product Viewed", fine)
    event = stage.track("web", at + 300, "Product Viewed", fine, anonymousId="rees46-broken")
    event["timestamp"] = "yesterday"


def _sign_up(stage: Stage, visitor: str, at: int, email: bool | None) -> Person:
    """A visitor becomes a customer with name and address, and may say yes or no to e-mail."""
    person = stage.person()
    traits = person.traits("email", "firstName", "lastName")
    if stage.rng.random() < 0.3:
        traits |= person.traits("phone")
    stage.identify("web", at, traits, anonymousId=visitor, userId=person.userId)
    if email is not None:
        stage.consent("web", at + 3, "email", email, anonymousId=visitor, userId=person.userId)
    return person


def _checkout(stage: Stage, cart: Cart, at: int) -> None:
    """Checkout Started and, in half of the cases, one step more."""
    properties = {"cart_id": cart.cart_id, "value": cart.value, "currency": "USD"}
    stage.track("web", at, "Checkout Started", properties, anonymousId=cart.visitor)
    if stage.rng.random() < 0.5:
        step = {"cart_id": cart.cart_id, "step": 2}
        stage.track("web", at + 25, "Checkout Step Completed", step, anonymousId=cart.visitor)


STORIES: tuple[Callable[[Stage, list[Person]], None], ...] = (
    two_carts_of_one_visitor,
    known_customers_log_in,
    links_other_than_a_login,
    one_person_in_two_browsers,
    sign_ups_with_an_open_cart,
    junk_identifiers,
    abandoned_checkouts,
    finished_checkouts,
    app_users_look_again,
    prices_fall,
    searches_that_lead_nowhere,
    big_baskets,
    second_thoughts,
    newsletter_sign_ups,
    till_orders_during_the_day,
    late_events,
    customers_who_stay_away,
)
