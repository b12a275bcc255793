// Makes the form nicer: what was wrong is said without another page, and who is in already gets on.
"use strict";

const form = document.querySelector("form");
const error = document.getElementById("error");
const button = form.querySelector("button");
const AGAIN_MILLISECONDS = 5000;
// Of a link for who may log in, as "tunnelsvc http" prints; it isn't sent, nor kept in view. A person
// has to send the form: any page may lead here, and wrong keys would have him locked out.
const KEY = /^#key=([\w-]+)$/.exec(location.hash)?.[1];
// Where the session's other half is, which browsers tell no other port; `shared/api.js` reads it.
const TOKEN = `tunnelsvc.csrf ${new URL(form.dataset.home, location.href).pathname}`;

function enter() {
  if (location.pathname.endsWith("/login")) {
    location.replace(form.dataset.home + location.hash);
  } else if (location.hash) {
    location.reload();  // with the same fragment nothing else would load the page anew
  } else {
    location.replace(location.href);
  }
}

// Browsers keep the cookie back (SameSite=Strict) where a link of another site leads here.
async function enterIfKnown() {
  try {
    const before = Number(sessionStorage.getItem("tunnelsvc-entered") || 0);
    if (Date.now() - before < AGAIN_MILLISECONDS) return;
    const answer = await fetch(form.action, {
      headers: { Accept: "application/json", "X-CSRF-Token": localStorage.getItem(TOKEN) ?? "" },
    });
    if (!(await answer.json()).logged_in) return;
    sessionStorage.setItem("tunnelsvc-entered", String(Date.now()));
    enter();
  } catch {
    // The form is there.
  }
}

function say(text) {
  error.textContent = text;
}

function reason(answer) {
  if (answer.status === 429) {
    const seconds = Number(answer.headers.get("Retry-After")) || 60;
    return form.dataset.locked.replace("{minutes}", String(Math.ceil(seconds / 60)));
  }
  return answer.status === 403 ? form.dataset.wrong : form.dataset.refused;
}

async function logIn() {
  const { user, password } = form.elements;
  button.disabled = true;
  say("");
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ user: user.value, password: password.value }),
    });
    if (answer.ok) {
      localStorage.setItem(TOKEN, (await answer.json()).csrf);
      enter();
      return;
    }
    say(reason(answer));
    password.select();
    password.focus();
  } catch {
    say(form.dataset.gone);
  }
  button.disabled = false;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  logIn();
});
// When a session ends all windows come here; who logs in in one of them is in in all.
window.addEventListener("storage", ({ key, newValue }) => {
  if (key === TOKEN && newValue) enterIfKnown();
});
if (KEY) {
  history.replaceState(null, "", location.pathname);
  form.elements.password.value = KEY;
  form.elements.user.parentElement.hidden = true;  // who has a key has no name
  button.focus();
}
enterIfKnown();
