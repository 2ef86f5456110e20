// JSON as caches hold it, about 1 KB each. What repeats from one document to the next is what repeats
// in real ones, the names of fields and a vocabulary; identifiers, times, amounts and texts are drawn
// anew. Invariant: the same number gives the same document.

import { randomFrom } from "./workloads.mjs";

const names = ("Ada Alan Amara Anders Anita Arjun Aylin Bruno Carla Chen Chloe Daniel Dmitri Elena "
  + "Emeka Emma Farid Fatima Felix Freya Giulia Grace Hana Hassan Ines Ivan Jamila Jorge Julia Kofi "
  + "Lars Laura Leila Linh Lucas Magda Mateo Mei Mina Nadia Nia Nils Noah Olga Omar Paula Priya "
  + "Rafael Ravi Rosa Sara Sofia Sven Tara Thabo Tomas Uma Victor Wei Yara Yusuf Zoe").split(" ");
const families = ("Adeyemi Ahmed Alvarez Bauer Bergstrom Costa Dubois Eriksen Fernandez Garcia Gupta "
  + "Haddad Hoffmann Ibrahim Ito Jensen Kaya Kim Kovacs Kowalski Kumar Larsen Lopez Mbeki Moreau "
  + "Nakamura Nguyen Novak Okafor Olsen Park Patel Pereira Petrov Popescu Rossi Santos Sato Silva "
  + "Singh Sokolov Tanaka Torres Tran Varga Wagner Weber Wright Yamamoto Yilmaz Zhang").split(" ");
const words = ("the of and to a in for is on with as it this be at by from an your all more will one "
  + "use made water light day small every hand after long home form well line good open paper soft "
  + "cotton steel wood glass leather wool dark blue green grey black white warm cold strong thin "
  + "heavy round flat short wide deep high front back cover pocket strap handle base frame lid cup "
  + "plate bowl lamp chair table shelf desk bag coat shirt shoe scarf belt watch clock radio cable "
  + "battery charger screen speaker camera lens print book map pen brush garden plant stone gate "
  + "roof wall door window floor towel mirror basket bottle kettle knife oven sink candle smoke wind "
  + "rain snow star river hill forest road bridge tower market village train boat wheel engine "
  + "valve pipe wire switch button sensor tool hammer rope chain lock recycled organic durable "
  + "portable waterproof compact removable natural certified tested travel outdoor").split(" ");

const alphabet = "0123456789abcdefghijklmnopqrstuvwxyz";

/** The document of a number, as JSON. */
export function documentOf(number) {
  const random = randomFrom(number + 1);
  const below = (limit) => Math.floor(random() * limit);
  const of = (list) => list[below(list.length)];
  const digits = (length, base = 16) => {
    let text = "";
    while (text.length < length) text += alphabet[below(base)];
    return text;
  };
  const date = () => new Date(1_700_000_000_000 + below(90_000_000) * 1000).toISOString();
  const text = (length) => {
    let said = of(words);
    for (let count = 1; count < length; count++) said += ` ${of(words)}`;
    return said;
  };
  const [first, last] = [of(names), of(families)];
  return JSON.stringify({
    id: `${digits(8)}-${digits(4)}-4${digits(3)}-a${digits(3)}-${digits(12)}`,
    created_at: date(),
    updated_at: date(),
    status: of(["active", "active", "active", "pending", "closed"]),
    customer: {
      id: below(5_000_000), name: `${first} ${last}`, is_subscribed: random() < 0.5,
      email: `${first}.${last}${below(1000)}@example.com`.toLowerCase(), phone: `+${digits(11, 10)}`,
    },
    items: Array.from({ length: 3 }, () => ({
      sku: digits(10, 36).toUpperCase(), title: text(4), quantity: 1 + below(5),
      price_cents: below(20_000), discount: Number(random().toFixed(4)),
    })),
    note: text(60),
    token: digits(24, 36),
  });
}
